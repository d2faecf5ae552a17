# SPDX-License-Identifier: Apache-2.0
# pytorch-CycleGAN-and-pix2pix#876: one picture is truncated, and its item raises in a worker.
import io
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

buffer = io.BytesIO()
Image.effect_noise((320, 240), 60).convert("RGB").save(buffer, "JPEG")
WHOLE = buffer.getvalue()


class Pictures(Dataset):
    def __len__(self):
        return 1600

    def __getitem__(self, index):
        data = WHOLE[: len(WHOLE) // 2] if index == 1003 else WHOLE
        return torch.from_numpy(np.asarray(Image.open(io.BytesIO(data))).copy())


begin = time.time()
try:
    for _batch in DataLoader(Pictures(), 8, num_workers=2):
        time.sleep(0.020)
finally:
    print(f"{time.time() - begin:.2f} s")
