# SPDX-License-Identifier: Apache-2.0
# mteb#1331, YOLO-World#413: num_workers from a large machine, sixteen where there are two CPUs.
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

PICTURE = Image.effect_noise((640, 480), 60)


class Pictures(Dataset):
    def __len__(self):
        return 1600

    def __getitem__(self, index):
        small = PICTURE.rotate(index % 30, Image.Resampling.BICUBIC).resize((224, 224))
        return torch.from_numpy(np.asarray(small).copy())


begin = time.time()
for _batch in DataLoader(Pictures(), 16, num_workers=2 if "fix" in sys.argv else 16):
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
