# SPDX-License-Identifier: Apache-2.0
"""A mapping that hands out each value once."""

from collections.abc import Mapping

import torch
from torch.utils.data import DataLoader


class Once(Mapping):
    def __init__(self, values):
        self.values_left = values

    def __getitem__(self, key):
        return self.values_left.pop(key)

    def __iter__(self):
        return iter(list(self.values_left))

    def __len__(self):
        return len(self.values_left)


batches = [
    Once({"input_ids": torch.ones(2, 3), "attention_mask": torch.ones(2, 3)}) for _ in range(3)
]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(batch["attention_mask"].sum().item(), batch["input_ids"].shape, len(batch))
