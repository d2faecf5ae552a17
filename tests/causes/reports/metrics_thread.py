# SPDX-License-Identifier: Apache-2.0
# pytorch#101962, pytorch#77139: a thread of the program's computes in Python beside the loop.
import sys
import threading
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __len__(self):
        return 2400

    def __getitem__(self, index):
        return torch.full((64,), float(index))


def summarise():
    while True:
        sum(i * i for i in range(100_000))


if "fix" not in sys.argv:
    threading.Thread(target=summarise, daemon=True).start()
begin, own = time.time(), 0.0
asked = begin
for _batch in DataLoader(Rows(), 16, num_workers=1):
    own += time.time() - asked
    time.sleep(0.012)
    asked = time.time()
print(f"{time.time() - begin:.2f} s, waited {own:.2f}")
