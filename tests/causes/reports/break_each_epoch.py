# SPDX-License-Identifier: Apache-2.0
# pytorch#9985: each epoch is left with break after a few steps, and its workers are ended.
import itertools
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __len__(self):
        return 6400

    def __getitem__(self, index):
        return torch.full((32,), float(index))


loader = DataLoader(Rows(), 32, shuffle=True, num_workers=2)
kept = iter(loader)
begin = time.time()
for _ in range(24):
    steps = itertools.islice(kept, 5) if "fix" in sys.argv else iter(loader)
    for step, _batch in enumerate(steps):
        time.sleep(0.010)
        if step == 4:
            break
    del steps
print(f"{time.time() - begin:.2f} s")
