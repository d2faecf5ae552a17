# SPDX-License-Identifier: Apache-2.0
# pytorch#142884: a batch cannot be pickled, in a thread of the worker's; the loop waits for it.
import time

from torch.utils.data import DataLoader, Dataset


class Lazy:
    def __init__(self, index):
        self.load = lambda: index


class Rows(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        return Lazy(index) if index == 40 else index


begin = time.time()
try:
    for _batch in DataLoader(Rows(), 8, num_workers=2, collate_fn=list, timeout=4):
        time.sleep(0.010)
finally:
    print(f"{time.time() - begin:.2f} s")
