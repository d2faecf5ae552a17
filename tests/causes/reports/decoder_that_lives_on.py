# SPDX-License-Identifier: Apache-2.0
# lerobot#4526: each worker starts one decoder program, asks it for every item and waits.
import subprocess
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

DECODER = """
import sys, zlib
data = zlib.compress(bytes(range(256)) * 4096, 9)
for line in sys.stdin:
    for _ in range(int(line)):
        zlib.decompress(data); zlib.crc32(data * 40)
    print("done", flush=True)
"""


class Clips(Dataset):
    decoder = None

    def __len__(self):
        return 160

    def __getitem__(self, index):
        if self.decoder is None:
            self.decoder = subprocess.Popen(
                [sys.executable, "-S", "-c", DECODER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self.decoder.stdin.write("1\n" if "fix" in sys.argv else "8\n")
        self.decoder.stdin.flush()
        assert self.decoder.stdout.readline() == "done\n"
        return torch.zeros(8)


begin = time.time()
for _batch in DataLoader(Clips(), 8, num_workers=1):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
