# SPDX-License-Identifier: Apache-2.0
# prototypical-networks#15, DALI#1415: small pieces of files that are not in the page cache yet.
import os
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

PAGES, SIZE, PIECES = 32_768, 4096, 64
with open("pieces.bin", "wb") as file:
    for _ in range(PAGES // 256):
        file.write(os.urandom(256 * SIZE))
    file.flush()
    os.fsync(file.fileno())
opened = os.open("pieces.bin", os.O_RDONLY)
os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_RANDOM)
if "fix" not in sys.argv:  # the cure is a disk that is faster, or the second epoch
    os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)


class Pieces(Dataset):
    def __len__(self):
        return PAGES // PIECES

    def __getitem__(self, index):
        places = ((index * PIECES + k) * 12_347 % PAGES * SIZE for k in range(PIECES))
        data = b"".join(os.pread(opened, SIZE, place) for place in places)
        return torch.frombuffer(bytearray(data), dtype=torch.uint8)


begin = time.time()
for _batch in DataLoader(Pieces(), 8, num_workers=1):
    time.sleep(0.001)
print(f"{time.time() - begin:.2f} s")
