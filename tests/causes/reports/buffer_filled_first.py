# SPDX-License-Identifier: Apache-2.0
# deeplake#1760, meta-dataset#40: a shuffle buffer is filled at the start of each epoch.
import random
import sys
import time

import torch
from torch.utils.data import DataLoader, IterableDataset

SIZE = 20 if "fix" in sys.argv else 500


class Shuffled(IterableDataset):
    def __iter__(self):
        kept = []
        for k in range(600):
            time.sleep(0.002)  # the store
            kept.append(torch.full((8,), float(k)))
            if len(kept) >= SIZE:
                yield kept.pop(random.randrange(len(kept)))
        yield from kept


begin = time.time()
loader = DataLoader(Shuffled(), batch_size=8, num_workers=1, persistent_workers=True)
for _ in range(3):
    for _batch in loader:
        time.sleep(0.020)
print(f"{time.time() - begin:.2f} s")
