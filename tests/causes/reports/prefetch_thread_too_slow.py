# SPDX-License-Identifier: Apache-2.0
# MONAI#1138, nanochat#832: a thread of the program's fetches ahead, and is still too slow.
import queue
import sys
import threading
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Stored(Dataset):
    def __len__(self):
        return 400

    def __getitem__(self, index):
        time.sleep(0.010)  # the store
        return torch.zeros(16)


def ahead(loader):
    ready = queue.Queue(3)

    def fetch():
        for batch in loader:
            ready.put(batch)
        ready.put(None)

    threading.Thread(target=fetch, daemon=True).start()
    while (batch := ready.get()) is not None:
        yield batch


begin, own = time.time(), 0.0
asked = begin
for _batch in ahead(DataLoader(Stored(), 8, num_workers=4 if "fix" in sys.argv else 0)):
    own += time.time() - asked
    time.sleep(0.025)
    asked = time.time()
print(f"{time.time() - begin:.2f} s, the loop waited {own:.2f}")
