# SPDX-License-Identifier: Apache-2.0
"""Tensors without memory."""

import torch
from torch.utils.data import DataLoader

mask = torch.ones(2**20, 2**20, dtype=torch.bool, device="meta")
batches = [mask, {"attention_mask": mask}, {"cu_seqlens": mask[0]}, (mask, mask)]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
