# SPDX-License-Identifier: Apache-2.0
"""Tensors that require gradients: their graph and version stay as they are."""

import torch
from torch.utils.data import DataLoader

leaf = torch.ones(3, 4, requires_grad=True)
with torch.inference_mode():
    inferred = torch.ones(3, 4)
masks = [leaf, leaf * 2, leaf.detach(), torch.nn.Parameter(torch.ones(3, 4)), inferred]
for batch in DataLoader(
    [{"attention_mask": m} for m in masks], batch_size=None, collate_fn=lambda b: b
):
    mask = batch["attention_mask"]
    version = "none" if mask.is_inference() else mask._version
    print(mask.requires_grad, mask.grad_fn is None, version, mask.is_leaf, torch.is_grad_enabled())
