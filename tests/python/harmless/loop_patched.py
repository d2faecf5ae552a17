# SPDX-License-Identifier: Apache-2.0
"""A program that replaces the loader's methods itself, and puts them back."""

import functools
from unittest import mock

from torch.utils.data import DataLoader, dataloader

base = dataloader._BaseDataLoaderIter
calls = []


def counting(owner, name):
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(*arguments, **keywords):
        calls.append(name)
        return original(*arguments, **keywords)

    setattr(owner, name, method)
    return original


originals = [
    (o, n, counting(o, n))
    for o, n in ((DataLoader, "__init__"), (DataLoader, "__iter__"), (base, "__next__"))
]
print([batch.item() for batch in DataLoader(range(3))], calls)
for owner, name, original in originals:
    setattr(owner, name, original)
print([batch.item() for batch in DataLoader(range(3))], len(calls))
with mock.patch.object(DataLoader, "__iter__", lambda self: iter([7, 8])):
    print(list(DataLoader(range(3))))
with mock.patch.object(base, "__next__", autospec=True, side_effect=[5, StopIteration]) as mocked:
    print(list(DataLoader(range(3))), mocked.call_count)
with mock.patch.object(dataloader, "_SingleProcessDataLoaderIter", side_effect=KeyError("made")):
    try:
        iter(DataLoader(range(3)))
    except KeyError as error:
        print(error)
print([batch.item() for batch in DataLoader(range(3))])
