# SPDX-License-Identifier: Apache-2.0
# A few milliseconds of loading in a run of seconds.
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Ones(Dataset):
    def __len__(self):
        return 50

    def __getitem__(self, index):
        return torch.ones(4)


begin = time.time()
for _batch in DataLoader(Ones(), batch_size=10):
    pass
print(f"{time.time() - begin:.2f} s")
