# SPDX-License-Identifier: Apache-2.0
# pytorch#75147, pytorch#1355: a lock was held by a thread when the workers were forked.
import threading
import time

import torch
from torch.utils.data import DataLoader, Dataset

LOCK = threading.Lock()  # of a logger, of a native library


class Logged(Dataset):
    def __len__(self):
        return 800

    def __getitem__(self, index):
        if index >= 400:
            with LOCK:
                pass
        time.sleep(0.002)
        return torch.zeros(16)


begin = time.time()
iterator = None
with LOCK:  # held for a moment, the wrong one
    iterator = iter(DataLoader(Logged(), 8, num_workers=2, timeout=4))
try:
    for _batch in iterator:
        time.sleep(0.002)
finally:
    print(f"{time.time() - begin:.2f} s")
