# SPDX-License-Identifier: Apache-2.0
"""Tracebacks of items and collate functions that raise, with workers and without."""

import traceback

import torch
from torch.utils.data import DataLoader, Dataset


class Broken(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        if i == 5:
            raise ValueError(f"item {i} is broken")
        return torch.zeros(2)


class BrokenMany(Broken):
    def __getitems__(self, indices):
        return [self[i] for i in indices]


def collate(rows):
    raise KeyError("no such field")


for data, options in (
    (Broken(), {}),
    (BrokenMany(), {}),
    (Broken(), {"batch_size": None}),
    (Broken(), {"collate_fn": collate}),
    (BrokenMany(), {"collate_fn": collate}),
):
    for workers in (0, 1):
        try:
            for _ in DataLoader(data, **{"batch_size": 4, **options}, num_workers=workers):
                pass
        except Exception:
            print(traceback.format_exc().replace("pid", ""))
