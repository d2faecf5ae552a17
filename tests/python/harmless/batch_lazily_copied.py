# SPDX-License-Identifier: Apache-2.0
"""Lazily copied tensors stay lazy."""

import torch
from torch.utils.data import DataLoader

original = torch.ones(32, 128, dtype=torch.int64)
copied = torch._lazy_clone(original)
batches = [{"attention_mask": copied, "input_ids": original}, [original, copied], copied, original]
for _batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(torch._C._is_cow_tensor(original), torch._C._is_cow_tensor(copied))
copied[0, 0] = 5
print(original[0, 0].item(), torch._C._is_cow_tensor(copied))
