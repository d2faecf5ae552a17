# SPDX-License-Identifier: Apache-2.0
# After webdataset#65, as it should be: a shard for each worker, ahead of the loop.
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Shards(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        for k in range(info.id, 1000, info.num_workers):
            time.sleep(0.002)
            yield torch.full((8,), float(k))


begin = time.time()
for _batch in DataLoader(Shards(), batch_size=8, num_workers=2):
    time.sleep(0.060)
print(f"{time.time() - begin:.2f} s")
