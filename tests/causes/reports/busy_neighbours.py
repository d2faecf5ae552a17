# SPDX-License-Identifier: Apache-2.0
# ImageCaptioning.pytorch#45: other programs keep every CPU busy while the items compute.
import os
import signal
import subprocess
import sys
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

spin = "import time; end = time.time() + 30\nwhile time.time() < end: pass"
hogs = 0 if "fix" in sys.argv else 3 * len(os.sched_getaffinity(0))
# By way of a shell that ends, or they would be this program's own processes.
start = '"$0" -S -c "$1" > /dev/null 2>&1 & echo $!'
neighbours = [
    int(subprocess.check_output(["sh", "-c", start, sys.executable, spin])) for _ in range(hogs)
]


class Spectra(Dataset):
    def __len__(self):
        return 800

    def __getitem__(self, index):
        wave = np.sin(np.arange(40_000) * (index + 1) * 1e-3)
        return torch.from_numpy(np.abs(np.fft.rfft(wave))[:512])


begin = time.time()
for _batch in DataLoader(Spectra(), 16, num_workers=1):
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
for neighbour in neighbours:
    os.kill(neighbour, signal.SIGKILL)
