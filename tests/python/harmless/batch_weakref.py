# SPDX-License-Identifier: Apache-2.0
"""A batch dies when the program lets go of it, without the garbage collector."""

import gc
import weakref

import torch
from torch.utils.data import DataLoader


class Batch:
    def __init__(self):
        self.attention_mask = torch.ones(2, 3)


gc.disable()


def fresh(index):
    kinds = [Batch, lambda: torch.ones(2, 3), lambda: {1: torch.ones(2)}]
    return kinds[index % 3]()


for index in DataLoader(range(9), batch_size=None, collate_fn=fresh):
    part = index[1] if isinstance(index, dict) else index
    last = weakref.ref(part)
    mask = weakref.ref(part.attention_mask) if isinstance(part, Batch) else last
    del part, index
    print(last() is None, mask() is None)
