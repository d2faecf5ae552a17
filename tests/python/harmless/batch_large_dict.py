# SPDX-License-Identifier: Apache-2.0
"""A dict of 200,000 entries, a list of a million."""

import torch
from torch.utils.data import DataLoader

large = {f"key {i}": i for i in range(200_000)}
large["attention_mask"] = torch.ones(2, 3)
long = [None] * 1_000_000
for _batch in DataLoader([large, long] * 50, batch_size=None, collate_fn=lambda batch: batch):
    pass
print(len(large), len(long), len(_batch))
