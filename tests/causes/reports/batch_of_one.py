# SPDX-License-Identifier: Apache-2.0
# Knowledge-Distillation-Toolkit#4, QMCTorch#127: slower than a for loop; a batch a row, no workers.
import sys
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

rows = TensorDataset(torch.randn(30_000, 4), torch.zeros(30_000))
size = 128 if "fix" in sys.argv else 1
begin = time.time()
for _ in range(2):
    for x, _ in DataLoader(rows, batch_size=size):
        x.mean()
print(f"{time.time() - begin:.2f} s")
