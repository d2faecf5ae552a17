# SPDX-License-Identifier: Apache-2.0
# Lightning#434 (val_percent_check): two batches to see whether it runs, then seconds of a model.
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __len__(self):
        return 1000

    def __getitem__(self, index):
        time.sleep(0.001)
        return torch.zeros(16)


begin = time.time()
for step, _batch in enumerate(DataLoader(Rows(), 8)):
    time.sleep(1.0)  # compiling, saving
    if step == 1:
        break
time.sleep(1.0)
print(f"{time.time() - begin:.2f} s")
