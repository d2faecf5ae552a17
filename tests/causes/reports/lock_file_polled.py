# SPDX-License-Identifier: Apache-2.0
# codalab-worksheets#3710, ctcache#36: a lock that is a file, tried again until it is free.
import os
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Cached(Dataset):
    def __len__(self):
        return 480

    def __getitem__(self, index):
        if "fix" not in sys.argv:
            while True:
                try:
                    os.close(os.open("cache.lock", os.O_CREAT | os.O_EXCL))
                    break
                except FileExistsError:
                    time.sleep(0.001)
        time.sleep(0.005)  # the cache's answer
        if "fix" not in sys.argv:
            os.unlink("cache.lock")
        return torch.zeros(8)


begin = time.time()
for _batch in DataLoader(Cached(), 8, num_workers=3):
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
