# SPDX-License-Identifier: Apache-2.0
# pytorch#94131: each batch is drawn by the weights of all rows, one batch after the other.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

ROWS, BATCHES = 200_000, 80


class Rows(Dataset):
    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        return torch.zeros(8)


class Weighted(Sampler):
    def __init__(self):
        self.weights = torch.rand(ROWS)

    def __len__(self):
        return BATCHES

    def __iter__(self):
        if "fix" in sys.argv:
            drawn = torch.multinomial(self.weights, 32 * BATCHES, replacement=True)
            yield from drawn.view(BATCHES, 32).tolist()
            return
        for _ in range(BATCHES):
            yield torch.multinomial(self.weights, 32).tolist()


begin = time.time()
for _batch in DataLoader(Rows(), batch_sampler=Weighted(), num_workers=1):
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
