# SPDX-License-Identifier: Apache-2.0
# Megatron-Energon#18: each epoch's new workers fill a buffer before they give anything.
import random
import sys
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Shuffled(IterableDataset):
    def __iter__(self):
        kept = []
        for k in range(get_worker_info().id, 900, 2):
            time.sleep(0.004)  # the store
            kept.append(torch.full((8,), float(k)))
            if len(kept) >= 400 or ("fix" in sys.argv and k % 3 > 0):
                yield kept.pop(random.randrange(len(kept)))
        yield from kept


begin = time.time()
loader = DataLoader(Shuffled(), batch_size=10, num_workers=2)
for _ in range(2):
    for _batch in loader:
        time.sleep(0.010)
print(f"{time.time() - begin:.2f} s")
