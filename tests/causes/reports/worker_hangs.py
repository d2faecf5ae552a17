# SPDX-License-Identifier: Apache-2.0
# pytorch#21554: item 100 hangs in one worker; the loader has a timeout.
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Stuck(Dataset):
    def __len__(self):
        return 400

    def __getitem__(self, index):
        time.sleep(1000 if index == 100 else 0.002)
        return torch.zeros(4)


begin = time.time()
try:
    for _batch in DataLoader(Stuck(), 8, num_workers=2, timeout=3):
        time.sleep(0.002)
finally:
    print(f"{time.time() - begin:.2f} s")
