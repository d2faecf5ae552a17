# SPDX-License-Identifier: Apache-2.0
# pytorch#101850, ultralytics#11195: a library has left the workers one CPU of those there are.
import os
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

CPUS = os.sched_getaffinity(0)


class Sums(Dataset):
    def __len__(self):
        return 1200

    def __getitem__(self, index):
        return torch.tensor(float(sum(i * i for i in range(30_000))))


def imported_library(_worker):
    if "fix" not in sys.argv:
        os.sched_setaffinity(0, {min(CPUS)})


if __name__ == "__main__":
    begin = time.time()
    for _batch in DataLoader(Sums(), 8, num_workers=3, worker_init_fn=imported_library):
        time.sleep(0.001)
    print(f"{time.time() - begin:.2f} s")
