# SPDX-License-Identifier: Apache-2.0
# webdataset#65, composer#744: one shard is far longer; in the end one worker of three works alone.
import sys
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

LENGTHS = [280, 280, 280] if "fix" in sys.argv else [80, 80, 680]


class Shards(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        for k in range(LENGTHS[info.id]):
            time.sleep(0.006)  # read over the network
            yield torch.full((8,), float(k))


begin = time.time()
for _batch in DataLoader(Shards(), batch_size=8, num_workers=3):
    time.sleep(0.015)
print(f"{time.time() - begin:.2f} s")
