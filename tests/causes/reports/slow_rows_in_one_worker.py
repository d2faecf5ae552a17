# SPDX-License-Identifier: Apache-2.0
# pytorch#135409: both workers have as many rows of the stream, but those of one take far longer.
import sys
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

ROWS = 640


class Recordings(IterableDataset):
    def __iter__(self):
        worker = get_worker_info()
        part = ROWS // worker.num_workers
        mine = range(worker.id * part, (worker.id + 1) * part)
        if "fix" in sys.argv:
            mine = range(worker.id, ROWS, worker.num_workers)
        for index in mine:
            time.sleep(0.001 if index < ROWS // 2 else 0.015)  # the long ones come last
            yield torch.full((32,), float(index))


begin = time.time()
for _batch in DataLoader(Recordings(), 8, num_workers=2):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
