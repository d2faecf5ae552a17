# SPDX-License-Identifier: Apache-2.0
# pytorch#181501: rows cost some us; handing a batch over from a worker costs ten times that.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    table = torch.randn(5_000, 8)

    def __len__(self):
        return len(self.table)

    def __getitem__(self, index):
        return self.table[index]


begin = time.time()
for _batch in DataLoader(Rows(), 2, num_workers=0 if "fix" in sys.argv else 2):
    pass
print(f"{time.time() - begin:.2f} s")
