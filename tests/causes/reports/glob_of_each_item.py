# SPDX-License-Identifier: Apache-2.0
# Pytorch-UNet#449, #317: each item looks for its file with a glob over the folder of all files.
import glob
import os
import sys
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

os.mkdir("masks")
for k in range(320):
    np.save(f"masks/{k:05d}_mask.npy", np.full((32, 32), k, np.float32))
for k in range(320, 6000):
    open(f"masks/{k:05d}_mask.npy", "w").close()


class Masks(Dataset):
    def __len__(self):
        return 320

    def __getitem__(self, index):
        path = f"masks/{index:05d}_mask.npy"
        if "fix" not in sys.argv:
            (path,) = glob.glob(f"masks/{index:05d}*")
        return torch.from_numpy(np.load(path))


begin = time.time()
for _batch in DataLoader(Masks(), 8, num_workers=1):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
