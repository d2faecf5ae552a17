# SPDX-License-Identifier: Apache-2.0
"""Nested tensors, of C++ and of Python."""

import warnings

import torch
from torch.utils.data import DataLoader

warnings.simplefilter("ignore")
batches = []
for layout in (torch.strided, torch.jagged):
    tensor = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=layout)
    batches += [tensor, [tensor, tensor], {"input_ids": tensor, "attention_mask": tensor}]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
