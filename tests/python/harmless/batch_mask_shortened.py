# SPDX-License-Identifier: Apache-2.0
"""Masks whose storage was cut below their shape."""

import torch
from torch.utils.data import DataLoader


def cut(tensor, size):
    tensor.untyped_storage().resize_(size)
    return tensor


# The first is larger than what any heap has behind it; its memory is never touched.
batches = [{"attention_mask": cut(torch.empty(1 << 15, 1 << 14, dtype=torch.bool), 8)}]
for dtype in (torch.int64, torch.int32, torch.int16, torch.bool, torch.float32):
    for size in (0, 8, 1 << 20):
        batches.append({"attention_mask": cut(torch.ones(1024, 1024, dtype=dtype), size)})
        batches.append({"cu_seqlens": cut(torch.ones(1 << 20, dtype=dtype), size)})
        batches.append({"cu_seqlens": cut(torch.ones(1 << 20, dtype=dtype), size), "input_ids": 1})
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    name, value = next(iter(batch.items()))
    print(name, value.dtype, tuple(value.shape), value.untyped_storage().nbytes())
