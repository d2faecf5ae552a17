# SPDX-License-Identifier: Apache-2.0
"""Allocations that fail, in items and in the program."""

import torch
from torch.utils.data import DataLoader, Dataset


class Greedy(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 1:
            return bytearray(1 << 62)
        return index


iterator = iter(DataLoader(Greedy()))
for _ in range(3):
    try:
        print(next(iterator).item())
    except (MemoryError, OverflowError) as error:
        print(type(error).__name__)
try:
    torch.empty(1 << 60)
except RuntimeError as error:
    print(type(error).__name__)
