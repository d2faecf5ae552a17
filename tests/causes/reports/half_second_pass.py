# SPDX-License-Identifier: Apache-2.0
# Lightning#3220: a sanity pass of half a second before training, which itself waits for nothing.
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __init__(self, count, seconds):
        self.count, self.seconds = count, seconds

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        time.sleep(self.seconds)
        return torch.zeros(16)


begin = time.time()
for _batch in DataLoader(Rows(50, 0.010), 10):
    pass
for _batch in DataLoader(Rows(1600, 0.0), 8, num_workers=1):
    time.sleep(0.075)
print(f"{time.time() - begin:.2f} s")
