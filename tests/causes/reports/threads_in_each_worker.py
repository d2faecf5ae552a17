# SPDX-License-Identifier: Apache-2.0
# transferable-samplers#12: each worker multiplies with eight threads, on however many CPUs.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Spectra(Dataset):
    def __init__(self):
        self.basis = torch.randn(512, 512)

    def __len__(self):
        return 240

    def __getitem__(self, index):
        return (torch.randn(512, 512) @ self.basis).abs().mean(0)


def threads(_worker):
    torch.set_num_threads(1 if "fix" in sys.argv else 8)


begin = time.time()
for _batch in DataLoader(Spectra(), 8, num_workers=3, worker_init_fn=threads):
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
