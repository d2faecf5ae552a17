# SPDX-License-Identifier: Apache-2.0
"""Masks that overlap, repeat, skip or turn their memory."""

import torch
from torch.utils.data import DataLoader

base = torch.arange(24).reshape(4, 6) % 3
masks = [
    base.t(),
    base[:, ::2],
    base[1:3, 1:5],
    base[:1].expand(1000, 6),
    torch.ones(1).expand(3000, 3000),
    base.as_strided((4, 4), (1, 1)),
    base.as_strided((3, 2), (0, 0), 23),
    base.as_strided((1, 1), (10**12, 10**15), 23),
    torch.empty(0, 5),
    torch.empty(5, 0),
    base.flip(0),
    base.unsqueeze(0),
    torch.ones((), dtype=torch.int64),
]
for batch in DataLoader([{"attention_mask": mask} for mask in masks], batch_size=None):
    mask = batch["attention_mask"]
    print(tuple(mask.shape), mask.stride(), mask.storage_offset())
