# SPDX-License-Identifier: Apache-2.0
# DALI#1415, prototypical-networks#15: thousands of small files that are not in the page cache.
import os
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

COUNT, SIZE = 3000, 24_576
os.mkdir("pictures")
for k in range(COUNT):
    with open(f"pictures/{k}.bin", "wb") as file:
        file.write(os.urandom(SIZE))
os.sync()
for k in range(COUNT):
    with open(f"pictures/{k}.bin", "rb") as file:
        if "fix" not in sys.argv:  # the cure is a second epoch, or a disk that is faster
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Files(Dataset):
    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        with open(f"pictures/{(index * 1237) % COUNT}.bin", "rb") as file:
            return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)


begin = time.time()
for _batch in DataLoader(Files(), 16, num_workers=1):
    time.sleep(0.001)
print(f"{time.time() - begin:.2f} s")
