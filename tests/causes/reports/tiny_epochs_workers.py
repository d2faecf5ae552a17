# SPDX-License-Identifier: Apache-2.0
# Lightning#17410: rows in memory, many tiny epochs: each is over before its workers are up.
import sys
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

workers = 0 if "fix" in sys.argv else 2
loader = DataLoader(TensorDataset(torch.randn(640, 8)), 64, shuffle=True, num_workers=workers)
begin = time.time()
for _ in range(25):
    for _batch in loader:
        time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
