# SPDX-License-Identifier: Apache-2.0
# pytorch#1917: steps are counted, and the iterator is made again at each StopIteration.
import sys
import time

import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

STEPS = 160
rows = TensorDataset(torch.randn(64, 16))
many = RandomSampler(rows, replacement=True, num_samples=STEPS * 16)
sampler = {"sampler": many} if "fix" in sys.argv else {"shuffle": True}
loader = DataLoader(rows, 16, num_workers=2, **sampler)
begin = time.time()
iterator = iter(loader)
for _ in range(STEPS):
    try:
        batch = next(iterator)
    except StopIteration:
        iterator = iter(loader)
        batch = next(iterator)
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
