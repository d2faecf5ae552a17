# SPDX-License-Identifier: Apache-2.0
# pytorch#4959: rows in memory, one a batch, num_workers=0: the loader's own work is what costs.
import sys
import time

from torch.utils.data import DataLoader

rows = list(range(6000))
begin = time.time()
size = 64 if "fix" in sys.argv else None
for _batch in DataLoader(rows, batch_size=size):
    time.sleep(0.0001 * (size or 1))
print(f"{time.time() - begin:.2f} s")
