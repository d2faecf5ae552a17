# SPDX-License-Identifier: Apache-2.0
# U2PL#91, AdvSemiSeg#47: two loaders in step; the one of unlabelled pictures is the slow one.
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

noise = Image.effect_noise((500, 500), 60).convert("RGB")


class Labelled(Dataset):
    def __len__(self):
        return 320

    def __getitem__(self, index):
        return torch.zeros(3, 32, 32), index


class Unlabelled(Dataset):
    def __len__(self):
        return 320

    def __getitem__(self, index):
        small = noise.resize((64, 64)) if "fix" in sys.argv else noise
        turned = small.rotate(index % 90, Image.BICUBIC).resize((32, 32))
        return torch.from_numpy(np.asarray(turned).copy())


begin = time.time()
labelled = DataLoader(Labelled(), 16, num_workers=1)
unlabelled = DataLoader(Unlabelled(), 16, num_workers=1)
for _pair in zip(labelled, unlabelled, strict=True):
    time.sleep(0.010)
print(f"{time.time() - begin:.2f} s")
