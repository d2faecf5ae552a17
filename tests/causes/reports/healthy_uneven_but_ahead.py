# SPDX-License-Identifier: Apache-2.0
# After pytorch#105203: one item in twenty is slow, and enough batches are ready to hide it.
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Uneven(Dataset):
    def __len__(self):
        return 800

    def __getitem__(self, index):
        time.sleep(0.060 if index % 20 == 13 else 0.001)
        return torch.zeros(16)


begin = time.time()
for _batch in DataLoader(Uneven(), 4, num_workers=3, prefetch_factor=4):
    time.sleep(0.035)
print(f"{time.time() - begin:.2f} s")
