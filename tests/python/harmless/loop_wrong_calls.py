# SPDX-License-Identifier: Apache-2.0
"""Wrong calls of the loader's methods raise the same errors."""

from torch.utils.data import DataLoader, dataloader

base = dataloader._BaseDataLoaderIter
calls = [
    lambda: DataLoader(),
    lambda: DataLoader([1], 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17),
    lambda: DataLoader([1], unknown=3),
    lambda: DataLoader.__iter__(),
    lambda: DataLoader.__iter__(3),
    lambda: DataLoader([1]).__iter__(3),
    lambda: DataLoader.__init__(object(), [1]),
    lambda: base.__next__(),
    lambda: base.__next__(3),
    lambda: base.__next__(object(), 3),
    lambda: base(),
    lambda: base(3),
    lambda: iter(DataLoader([1])).__next__(1),
]
for call in calls:
    try:
        print(call())
    except Exception as error:
        print(type(error).__name__, error)
