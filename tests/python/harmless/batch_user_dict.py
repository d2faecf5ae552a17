# SPDX-License-Identifier: Apache-2.0
"""UserDicts, whose data is what it wants."""

from collections import UserDict

import torch
from torch.utils.data import DataLoader


class Computed(UserDict):
    @property
    def data(self):
        print("asked for data")
        raise SystemExit(3)

    @data.setter
    def data(self, value):
        pass


class Makes(UserDict):
    def __missing__(self, key):
        print("made", key)
        self.data[key] = torch.ones(2)
        return self.data[key]

    def __contains__(self, key):
        print("contains", key)
        return True


class Bare(UserDict):
    def __init__(self):
        self.__dict__["data"] = self


batches = [Computed.__new__(Computed), Makes(x=[1, 2]), Bare.__new__(Bare), Bare()]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
print(sorted(batches[1].data))
