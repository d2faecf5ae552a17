# SPDX-License-Identifier: Apache-2.0
"""sys.exc_info() around a next() and inside of it."""

import sys

from torch.utils.data import DataLoader, Dataset


class Asking(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        kind = sys.exc_info()[0]
        return kind.__name__ if kind else "none"


iterator = iter(DataLoader(Asking()))
try:
    raise KeyError("outer")
except KeyError:
    print(next(iterator), sys.exc_info()[0].__name__)
    try:
        raise ValueError("inner")
    except ValueError:
        print(next(iterator), sys.exc_info()[0].__name__)
    print(sys.exc_info()[0].__name__)
print(next(iterator), sys.exc_info())
