# SPDX-License-Identifier: Apache-2.0
# pytorch#158704: epochs of three batches; nothing is fetched ahead for the next epoch.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

EPOCHS = 12


class Few(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        time.sleep(0.040)  # heavy augmentation, not on our CPUs
        return torch.zeros(16)


rows = Few()
if "fix" in sys.argv:
    sampler = RandomSampler(rows, replacement=True, num_samples=24 * EPOCHS)
    loaders = [DataLoader(rows, 8, sampler=sampler, num_workers=3)]
else:
    loaders = [DataLoader(rows, 8, shuffle=True, num_workers=3, persistent_workers=True)] * EPOCHS
begin = time.time()
for loader in loaders:
    for _batch in loader:
        time.sleep(0.120)
print(f"{time.time() - begin:.2f} s")
