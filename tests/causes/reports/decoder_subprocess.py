# SPDX-License-Identifier: Apache-2.0
# webdataset#24: each item is piped through a program (gsutil, ffmpeg) that the worker starts.
import subprocess
import sys
import time
import zlib

import torch
from torch.utils.data import DataLoader, Dataset

BLOB = zlib.compress(bytes(range(256)) * 40_000, 1)
DECODER = "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))"


class Records(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        if "fix" in sys.argv:
            data = zlib.decompress(BLOB)
        else:
            command = [sys.executable, "-S", "-c", DECODER]
            data = subprocess.run(command, input=BLOB, stdout=subprocess.PIPE, check=True).stdout
        return torch.frombuffer(bytearray(data[:4096]), dtype=torch.uint8)


begin = time.time()
for _batch in DataLoader(Records(), 4, num_workers=1):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
