# SPDX-License-Identifier: Apache-2.0
# pytorch#15950, mixtera#106: an item makes a loader with workers of its own, within a worker.
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Frames(Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        return torch.full((8,), float(index))


class Videos(Dataset):
    def __len__(self):
        return 4000

    def __getitem__(self, index):
        time.sleep(0.002)
        if index < 2000:  # read whole
            return torch.zeros(16, 8)
        return torch.cat(list(DataLoader(Frames(), 4, num_workers=1)))


begin = time.time()
for _batch in DataLoader(Videos(), 8, num_workers=2):
    time.sleep(0.014)
print(f"{time.time() - begin:.2f} s")
