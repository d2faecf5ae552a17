# SPDX-License-Identifier: Apache-2.0
"""Random numbers of the workers, their seeds, and a generator of one's own."""

import random

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Noisy(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        info = get_worker_info()
        return index, info.id, info.seed, random.random(), np.random.rand(), torch.rand(1).item()


torch.manual_seed(11)
for persistent in (False, True):
    loader = DataLoader(Noisy(), num_workers=2, shuffle=True, persistent_workers=persistent)
    for epoch in range(2):
        for batch in loader:
            print(epoch, [part.item() for part in batch])
generator = torch.Generator().manual_seed(4)
for batch in DataLoader(Noisy(), num_workers=1, shuffle=True, generator=generator):
    print([part.item() for part in batch])
print(generator.get_state().sum().item(), torch.rand(1).item())
