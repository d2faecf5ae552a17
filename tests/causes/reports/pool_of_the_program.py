# SPDX-License-Identifier: Apache-2.0
# returnn#1435: num_workers=0, and the data set has a pool of processes of its own.
import concurrent.futures
import io
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

buffer = io.BytesIO()
Image.effect_noise((900, 700), 60).convert("RGB").save(buffer, "JPEG", quality=85)


def decode(size):
    picture = Image.open(io.BytesIO(buffer.getvalue()))
    if "fix" in sys.argv:
        picture.draft("RGB", (size, size))
    return np.asarray(picture.resize((size, size))).copy()


class Pictures(Dataset):
    def __init__(self):
        self.pool = concurrent.futures.ProcessPoolExecutor(2)
        list(self.pool.map(decode, [64, 64]))

    def __len__(self):
        return 160

    def __getitems__(self, indices):
        made = self.pool.map(decode, [96] * len(indices), chunksize=2)
        return [torch.from_numpy(one) for one in made]


if __name__ == "__main__":
    pictures = Pictures()
    begin = time.time()
    for _batch in DataLoader(pictures, 8):
        time.sleep(0.005)
    print(f"{time.time() - begin:.2f} s")
