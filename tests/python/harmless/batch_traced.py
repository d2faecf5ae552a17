# SPDX-License-Identifier: Apache-2.0
"""A loop inside torch.jit.trace: the graph holds the program's operators only."""

import warnings

import torch
from torch.utils.data import DataLoader

warnings.simplefilter("ignore")


def total(x):
    batches = [x, (x, x), {"attention_mask": x, "input_ids": x}, {"x": x}, {"input_ids": x}]
    for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
        x = x + (batch["input_ids"] if isinstance(batch, dict) and len(batch) == 2 else 1)
    return x


print(torch.jit.trace(total, torch.ones(2, 3), check_trace=False).graph)
