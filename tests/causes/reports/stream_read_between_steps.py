# SPDX-License-Identifier: Apache-2.0
# datasets#5878: a stream over the network is read by the loop itself, while the model waits.
import sys
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Stream(IterableDataset):
    def __iter__(self):
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for index in range(first, 800, step):
            time.sleep(0.004)  # the answer
            yield torch.full((32,), float(index))


begin = time.time()
for _batch in DataLoader(Stream(), 8, num_workers=1 if "fix" in sys.argv else 0):
    time.sleep(0.030)
print(f"{time.time() - begin:.2f} s")
