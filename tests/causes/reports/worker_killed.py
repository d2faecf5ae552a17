# SPDX-License-Identifier: Apache-2.0
# pytorch#8976: a worker is killed, as the kernel does it when memory runs out.
import os
import signal
import time

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Growing(Dataset):
    def __len__(self):
        return 1600

    def __getitem__(self, index):
        if index >= 800 and get_worker_info().id == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.002)
        return torch.zeros(16)


begin = time.time()
try:
    for _batch in DataLoader(Growing(), 8, num_workers=2):
        time.sleep(0.002)
finally:
    print(f"{time.time() - begin:.2f} s")
