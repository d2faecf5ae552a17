# SPDX-License-Identifier: Apache-2.0
# After Lightning#13964: two loaders with workers, both ahead of the loop.
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        time.sleep(0.001)
        return torch.zeros(3, 32, 32)


training = DataLoader(Rows(640), 8, num_workers=1, persistent_workers=True)
validation = DataLoader(Rows(160), 8, num_workers=1, persistent_workers=True)
begin = time.time()
for _ in range(2):
    for _batch in training:
        time.sleep(0.040)
    for _batch in validation:
        time.sleep(0.030)
print(f"{time.time() - begin:.2f} s")
