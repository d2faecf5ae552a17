# SPDX-License-Identifier: Apache-2.0
# pytorch#29804, datasets#3423: a stream that is not split; every worker yields the whole of it.
import sys
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

FIX = "fix" in sys.argv


class Tape(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        first, stride = (info.id, info.num_workers) if FIX and info else (0, 1)
        for k in range(first, 320, stride):
            time.sleep(0.005)  # a remote record
            yield torch.full((8,), float(k))


begin = time.time()
count, seen = 0, set()
for batch in DataLoader(Tape(), batch_size=8, num_workers=3):
    time.sleep(0.004)
    count += len(batch)
    seen.update(batch[:, 0].tolist())
print(f"{time.time() - begin:.2f} s, {count} samples of which {len(seen)} differ")
