# SPDX-License-Identifier: Apache-2.0
# lance#3394, lhotse#605: len() of the data set goes through its file, and every epoch asks for it.
import sys
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

with open("rows.csv", "w") as file:
    file.writelines(f"{k},{k * 3 % 101},{k * 7 % 89},{'x' * 40}\n" for k in range(1_500_000))


class Table(Dataset):
    def __init__(self):
        self.values = np.zeros((1_500_000, 4), np.float32)
        self.rows = len(self) if "fix" in sys.argv else None

    def __len__(self):
        if getattr(self, "rows", None) is not None:
            return self.rows
        with open("rows.csv") as file:
            return sum(1 for _line in file) // 5000

    def __getitem__(self, index):
        return torch.from_numpy(self.values[index])


table = Table()
loader = DataLoader(table, 16)
begin = time.time()
for _epoch in range(6):
    for _batch in loader:
        time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
