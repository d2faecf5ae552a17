# SPDX-License-Identifier: Apache-2.0
# pytorch#50689: the order of all rows is drawn for each epoch, of which thirty batches are used.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler


class Rows(Dataset):
    def __len__(self):
        return 4_000_000

    def __getitem__(self, index):
        return torch.zeros(8)


rows = Rows()
order = RandomSampler(rows, replacement="fix" in sys.argv, num_samples=960)
if "fix" not in sys.argv:
    order = RandomSampler(rows)
loader = DataLoader(rows, 32, sampler=order)
begin = time.time()
for _ in range(3):
    for step, _batch in enumerate(loader):
        time.sleep(0.004)
        if step == 29:
            break
print(f"{time.time() - begin:.2f} s")
