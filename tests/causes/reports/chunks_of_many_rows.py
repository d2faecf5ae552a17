# SPDX-License-Identifier: Apache-2.0
# OpenMHC#16: rows are drawn at random from a file whose compressed chunks hold 100 of them.
import sys
import time
import zlib

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

ROWS, VALUES = 1600, 3600
CHUNK = 1 if "fix" in sys.argv else 100
random = np.random.default_rng(1)
places = []
with open("days.chunks", "wb") as file:
    for _first in range(0, ROWS, CHUNK):
        rows = random.integers(0, 9, (CHUNK, VALUES)).astype(np.float32)
        packed = zlib.compress(rows.tobytes(), 4)
        places.append((file.tell(), len(packed)))
        file.write(packed)


class Days(Dataset):
    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        begin, size = places[index // CHUNK]
        with open("days.chunks", "rb") as file:
            file.seek(begin)
            data = zlib.decompress(file.read(size))
        rows = np.frombuffer(data, np.float32).reshape(CHUNK, VALUES)
        return torch.from_numpy(rows[index % CHUNK].copy())


begin = time.time()
days = Days()
for _batch in DataLoader(days, 8, sampler=RandomSampler(days, num_samples=480), num_workers=1):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
