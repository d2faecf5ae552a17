# SPDX-License-Identifier: Apache-2.0
"""Functions that are looked at twice are the same; attributes can be set on them."""

import functools
import types

from torch.utils.data import DataLoader, dataloader

base = dataloader._BaseDataLoaderIter
for owner, name in ((DataLoader, "__init__"), (DataLoader, "__iter__"), (base, "__next__")):
    function = getattr(owner, name)
    print(
        function is getattr(owner, name),
        function == owner.__dict__[name],
        len({function, function}),
    )
    function.mark = 3
    print(function.mark, vars(function))
    del function.mark
    wrapper = functools.wraps(function)(lambda *arguments: None)
    print(wrapper.__name__, wrapper.__qualname__, wrapper.__wrapped__ is function)
    print(types.MethodType(function, 3).__self__, function.__get__(None, owner) is function)
iterator = iter(DataLoader([1, 2]))
print(
    base.__next__(iterator).item(),
    iterator.__next__().item(),
    type(iterator).__next__ is base.__next__,
)
