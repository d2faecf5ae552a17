# SPDX-License-Identifier: Apache-2.0
"""Tensors whose storage was swapped for another, or taken apart."""

import torch
from torch.utils.data import DataLoader

tensor = torch.ones(1000, 1000, dtype=torch.int64)
tensor.set_(torch.ones(4, dtype=torch.int64).untyped_storage(), 0, (2, 2))
grown = torch.empty(0, dtype=torch.int64)
grown.resize_(3, 4)
swapped = torch.ones(2, 3)
swapped.data = torch.zeros(512, 512)
moved = torch.ones(4, 4)
moved.untyped_storage().resize_(0)
moved.untyped_storage().resize_(64)
masks = [tensor, grown, swapped, moved]
for batch in DataLoader(
    [{"attention_mask": m} for m in masks], batch_size=None, collate_fn=lambda b: b
):
    mask = batch["attention_mask"]
    print(tuple(mask.shape), mask.untyped_storage().nbytes(), mask.data_ptr() % 8)
