# SPDX-License-Identifier: Apache-2.0
# pytorch#158218 and video decoders: an item hands its work to a native thread and waits for it.
import os
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.utils.data import DataLoader, Dataset

BLOB = zlib.compress(os.urandom(400_000) + bytes(1_600_000), 6)


def decode():
    return len(zlib.decompress(BLOB)) + len(zlib.compress(bytes(1_000_000), 1))


class Frames(Dataset):
    pool = None

    def __len__(self):
        return 240

    def __getitem__(self, index):
        if "fix" in sys.argv:
            return torch.tensor([float(decode())])
        if Frames.pool is None:
            Frames.pool = ThreadPoolExecutor(1)
        return torch.tensor([float(Frames.pool.submit(decode).result())])


begin = time.time()
for _batch in DataLoader(Frames(), 8, num_workers=1):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
