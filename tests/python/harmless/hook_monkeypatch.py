# SPDX-License-Identifier: Apache-2.0
"""Others put something of their own over a method, and take it away again."""

import functools
import inspect
from unittest import mock

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter as Base

seen = []
original_iter, original_next = DataLoader.__iter__, Base.__next__
print(DataLoader.__dict__["__iter__"] is original_iter, Base.__dict__["__next__"] is original_next)


@functools.wraps(original_iter)
def my_iter(self):
    seen.append("iter")
    return original_iter(self)


def my_next(self):
    seen.append("next")
    return original_next(self)


DataLoader.__iter__, Base.__next__ = my_iter, my_next
print([batch.tolist() for batch in DataLoader([1, 2, 3])], seen)
DataLoader.__iter__, Base.__next__ = original_iter, original_next
print([batch.tolist() for batch in DataLoader([1, 2, 3])], len(seen))

with mock.patch.object(DataLoader, "__iter__", autospec=True) as fake:
    fake.return_value = iter("ab")
    loader = DataLoader([1])
    print(list(loader), fake.call_args == mock.call(loader))
with mock.patch.object(DataLoader, "__init__", autospec=True, return_value=None) as fake:
    DataLoader([1], batch_size=4)
    print(fake.call_args.kwargs)
    try:
        DataLoader([1], no_such_option=4)
    except TypeError as error:
        print(error)
spec = mock.create_autospec(DataLoader)
print(
    inspect.signature(spec), sorted(name for name in dir(spec) if not name.startswith("assert"))[:9]
)
print(DataLoader.__iter__ is original_iter, [b.tolist() for b in DataLoader([1, 2])])


class Logged:
    """Binds as a function does, and is none."""

    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner=None):
        return functools.partial(self, instance) if instance is not None else self

    def __call__(self, *args):
        seen.append(args[0].__class__.__name__)
        return self.function(*args)


DataLoader.__iter__ = Logged(DataLoader.__iter__)
print([batch.tolist() for batch in DataLoader([1, 2])], seen[-1])
