# SPDX-License-Identifier: Apache-2.0
"""Random numbers, and what is pickled, in workers of shuffled epochs."""

import hashlib
import multiprocessing.reduction as reduction
import random
import zlib

import torch
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, i):
        sent = reduction.ForkingPickler.dumps((i, [i] * 3))
        return torch.tensor([i, random.random(), torch.rand(1).item(), zlib.crc32(sent)])


torch.manual_seed(5)
loader = DataLoader(Noisy(), batch_size=4, num_workers=2, shuffle=True)
digest = hashlib.sha256()
for _ in range(2):
    for batch in loader:
        digest.update(batch.numpy().tobytes())
print(digest.hexdigest(), torch.rand(1).item())
