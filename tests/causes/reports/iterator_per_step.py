# SPDX-License-Identifier: Apache-2.0
# pytorch#50689, pytorch#1917: next(iter(loader)) in every step; the end of each is in no wait.
import sys
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

loader = DataLoader(TensorDataset(torch.randn(6400, 32)), 32, shuffle=True, num_workers=2)
begin = time.time()
own = 0.0
iterator = iter(loader)
for _ in range(40):
    asked = time.time()
    batch = next(iterator) if "fix" in sys.argv else next(iter(loader))
    own += time.time() - asked
    time.sleep(0.010)
print(f"{time.time() - begin:.2f} s, of it getting batches {own:.2f}")
