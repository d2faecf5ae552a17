# SPDX-License-Identifier: Apache-2.0
# wilds#12: random rows of a np.memmap that is not in the page cache: page faults.
import os
import sys
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

ROWS, COLUMNS = 20_000, 8192
with open("rows.bin", "w+b") as file:
    for k in range(20):
        size = ROWS * COLUMNS // 20
        file.write(np.random.default_rng(k).integers(0, 255, size, dtype=np.uint8).tobytes())
    file.flush()
    os.fsync(file.fileno())
    if "fix" not in sys.argv:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Rows(Dataset):
    mapped = None

    def __len__(self):
        return 6400

    def __getitem__(self, index):
        if Rows.mapped is None:
            Rows.mapped = np.memmap("rows.bin", np.uint8, "r", shape=(ROWS, COLUMNS))
            Rows.mapped._mmap.madvise(1)  # MADV_RANDOM
        return torch.from_numpy(Rows.mapped[(index * 7919) % ROWS].copy())


begin = time.time()
for _batch in DataLoader(Rows(), 32, num_workers=1):
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
