# SPDX-License-Identifier: Apache-2.0
"""Attributes written to functions of torch, and read back."""

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter as Base

for function in (DataLoader.__iter__, Base.__next__):
    function.note = 1
    function.__doc__ = "other words"
    print(function.note, function.__dict__, function.__doc__, vars(function))
    del function.note
    print(hasattr(function, "note"), function.__dict__)
    for name, value in (("__code__", 3), ("__name__", 3), ("__dict__", 3), ("__globals__", {})):
        try:
            setattr(function, name, value)
            print("set", name)
        except Exception as error:
            print(type(error).__name__, error)
    try:
        del function.nothing
    except AttributeError as error:
        print(error)
    try:
        function.nothing  # noqa: B018
    except AttributeError as error:
        print(error)

before = DataLoader.__init__.__kwdefaults__
DataLoader.__init__.__kwdefaults__ = {**before, "prefetch_factor": None}
DataLoader.__init__.__defaults__ = (3, *DataLoader.__init__.__defaults__[1:])
print(DataLoader([1, 2, 3]).batch_size, list(DataLoader([1, 2, 3, 4])))


def other(self):
    yield from ("of", "other", "code")


DataLoader.__iter__.__code__ = other.__code__
print(list(DataLoader([1, 2, 3])))
