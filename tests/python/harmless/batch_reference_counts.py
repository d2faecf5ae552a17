# SPDX-License-Identifier: Apache-2.0
"""Nobody else holds a batch, what is in it, or its storage."""

import sys

import torch
from torch.utils.data import DataLoader

masks = [torch.ones(2, 3) for _ in range(4)]
batches = [{"attention_mask": mask, "list": [mask]} for mask in masks]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    mask = batch["attention_mask"]
    print(sys.getrefcount(batch), sys.getrefcount(mask), sys.getrefcount(batch["list"]))
    print(torch._C._storage_Use_Count(mask.untyped_storage()._cdata))
del batch, mask
print([sys.getrefcount(mask) for mask in masks], [sys.getrefcount(batch) for batch in batches])
