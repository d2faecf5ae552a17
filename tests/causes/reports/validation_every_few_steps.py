# SPDX-License-Identifier: Apache-2.0
# Lightning#434: validation every few steps, by a loader whose workers start anew each time.
import sys
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

rows = TensorDataset(torch.randn(1600, 32))
validation = DataLoader(rows, 200, num_workers=3, persistent_workers="fix" in sys.argv)
begin = time.time()
for step, _batch in enumerate(DataLoader(rows, 16, num_workers=1)):
    time.sleep(0.010)
    if step % 4 == 3:
        for _checked in validation:
            time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
