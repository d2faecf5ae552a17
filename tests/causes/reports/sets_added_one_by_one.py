# SPDX-License-Identifier: Apache-2.0
# avalanche#560, torchdatasets#25: data sets are added one to the other, each sum within the next.
import sys
import time

import torch
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

parts = [TensorDataset(torch.full((80, 16), float(k))) for k in range(400)]
if "fix" in sys.argv:
    rows = ConcatDataset(parts)
else:
    rows = parts[0]
    for part in parts[1:]:
        rows = rows + part

begin = time.time()
for _batch in DataLoader(rows, 32, shuffle=True):
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
