# SPDX-License-Identifier: Apache-2.0
# prefetch_generator#7, pytorch-styleguide#5: the program's own thread drains the loader ahead.
import queue
import sys
import threading
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Timed(Dataset):
    def __len__(self):
        return 1600

    def __getitem__(self, index):
        time.sleep(0.002)
        return torch.zeros(16)


class Ahead(DataLoader):
    def __iter__(self):
        ready, inner = queue.Queue(6), super().__iter__()

        def pump():
            for batch in inner:
                ready.put(batch)
            ready.put(None)

        threading.Thread(target=pump, daemon=True).start()
        while (batch := ready.get()) is not None:
            yield batch


own, begin = 0.0, time.time()
asked = begin
for _batch in (DataLoader if "fix" in sys.argv else Ahead)(Timed(), 16, num_workers=1):
    own += time.time() - asked
    time.sleep(0.045)
    asked = time.time()
print(f"{time.time() - begin:.2f} s, the loop waited {own:.2f}")
