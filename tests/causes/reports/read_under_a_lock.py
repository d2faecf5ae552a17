# SPDX-License-Identifier: Apache-2.0
# pytorch#11929, tensorbay#1151: workers take turns behind a lock around the one file.
import multiprocessing
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

LOCK = multiprocessing.Lock()


class Cube(Dataset):
    def __len__(self):
        return 600

    def read(self):
        time.sleep(0.006)  # the file server
        return torch.zeros(64)

    def __getitem__(self, index):
        if "fix" in sys.argv:  # a file of its own in each worker
            return self.read()
        with LOCK:
            return self.read()


begin = time.time()
for _batch in DataLoader(Cube(), 8, num_workers=3):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
