# SPDX-License-Identifier: Apache-2.0
# datasets#8669, #5984: fewer shards than workers; two of three workers have nothing to do.
import sys
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

SHARDS = 12 if "fix" in sys.argv else 1


class Shards(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        for _ in range(info.id, SHARDS, info.num_workers):
            for k in range(480 // SHARDS):
                time.sleep(0.004)
                yield torch.full((8,), float(k))


begin = time.time()
count = 0
for batch in DataLoader(Shards(), batch_size=8, num_workers=3):
    time.sleep(0.010)
    count += len(batch)
print(f"{time.time() - begin:.2f} s, {count} samples")
