# SPDX-License-Identifier: Apache-2.0
"""A list and a tuple that raise whenever they are looked at."""

import torch
from torch.utils.data import DataLoader


class Angry:
    def __len__(self):
        raise SystemExit(4)

    def __iter__(self):
        raise SystemExit(5)

    def __getitem__(self, index):
        raise SystemExit(6)

    def __eq__(self, other):
        raise SystemExit(7)

    __hash__ = None


class AngryList(Angry, list):
    pass


class AngryTuple(Angry, tuple):
    pass


batches = [AngryList([torch.ones(3)]), AngryTuple([torch.ones(3)]), [AngryList([1]), AngryTuple()]]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
