# SPDX-License-Identifier: Apache-2.0
"""A loop inside vmap() and grad(): its batches are wrapped tensors."""

import torch
from torch.utils.data import DataLoader


def total(x):
    batches = [x, (x, x), {"attention_mask": x, "input_ids": x}, {"x": x}]
    for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
        x = x + (batch[0] if isinstance(batch, tuple) else x)
    return x.sum()


print(torch.vmap(total, randomness="same")(torch.ones(2, 3, 4)))
print(torch.func.grad(total)(torch.ones(3, 4)))
