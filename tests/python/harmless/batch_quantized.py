# SPDX-License-Identifier: Apache-2.0
"""Quantised tensors."""

import warnings

import torch
from torch.utils.data import DataLoader

warnings.simplefilter("ignore")
batches = []
for dtype in (torch.qint8, torch.quint8, torch.qint32):
    tensor = torch.quantize_per_tensor(torch.ones(3, 4), 0.1, 0, dtype)
    batches += [tensor, {"attention_mask": tensor}, {"cu_seqlens": tensor[0]}, (tensor, tensor)]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
