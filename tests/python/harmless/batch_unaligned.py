# SPDX-License-Identifier: Apache-2.0
"""Tensors over memory at odd addresses, of a bytearray, a file, an array."""

import torch
from torch.utils.data import DataLoader

data = bytearray(range(256)) * 64
with open("memory", "wb") as file:
    file.write(data)
batches = []
for offset in (1, 3, 4, 7, 8):
    for dtype in (torch.int64, torch.int32, torch.float64, torch.int16):
        values = torch.frombuffer(data, dtype=dtype, offset=offset, count=1024)
        batches.append({"attention_mask": values.view(32, 32)})
batches.append(
    {"attention_mask": torch.from_file("memory", size=1024, dtype=torch.int64).view(8, 128)}
)
batches.append({"attention_mask": torch.ones(8, 8).share_memory_()})
total = 0
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    total += int((batch["attention_mask"] != 0).sum())
print(total)
