# SPDX-License-Identifier: Apache-2.0
# Batches are ready; the loop itself turns the pictures before each step, in its own time.
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

noise = Image.effect_noise((300, 300), 60)


class Pictures(Dataset):
    def __len__(self):
        return 640

    def __getitem__(self, index):
        return torch.zeros(64, 64)


begin = time.time()
for batch in DataLoader(Pictures(), 8, num_workers=1):
    for k in range(2 * len(batch)):
        torch.from_numpy(np.asarray(noise.rotate(k * 11, Image.BICUBIC)).copy())
print(f"{time.time() - begin:.2f} s")
