# SPDX-License-Identifier: Apache-2.0
# Lightning#18723, #15572: the loop's own thread waits for a CPU; its worker has one to itself.
import os
import subprocess
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

cpus = sorted(os.sched_getaffinity(0))
spin = "import time; end = time.time() + 25\nwhile time.time() < end: pass"


class Rows(Dataset):
    def __len__(self):
        return 3200

    def __getitem__(self, index):
        return torch.full((16,), float(index))


def to_the_other(_worker):
    os.sched_setaffinity(0, {cpus[-1]})


iterator = iter(DataLoader(Rows(), 8, num_workers=1, worker_init_fn=to_the_other))
next(iterator)
os.sched_setaffinity(0, {cpus[0]})
hogs = 0 if "fix" in sys.argv else 2  # on the same CPU as the loop
neighbours = [subprocess.Popen([sys.executable, "-S", "-c", spin]) for _ in range(hogs)]
begin, own = time.time(), 0.0
for _ in range(398):
    asked = time.time()
    batch = next(iterator)
    own += time.time() - asked
    time.sleep(0.004)
for neighbour in neighbours:
    neighbour.kill()
print(f"{time.time() - begin:.2f} s, waited {own:.2f}")
