# SPDX-License-Identifier: Apache-2.0
"""Random numbers of the main process: the same before, in and after the loop."""

import random

import numpy as np
import torch
from torch.utils.data import DataLoader, RandomSampler, WeightedRandomSampler, random_split

random.seed(5)
np.random.seed(6)
torch.manual_seed(7)


class Noisy(torch.utils.data.Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(1).item()


for epoch in range(2):
    for batch in DataLoader(Noisy(), batch_size=2, shuffle=True):
        print(epoch, [part.tolist() for part in batch], torch.rand(1).item(), random.random())
print([part.indices for part in random_split(range(10), [4, 6])])
samplers = [RandomSampler(range(5), replacement=True), WeightedRandomSampler([1, 2, 3], 6)]
for sampler in samplers:
    print([batch.item() for batch in DataLoader(range(5), sampler=sampler)])
print(torch.get_rng_state().sum().item(), random.getrandbits(40), np.random.randint(1 << 30))
