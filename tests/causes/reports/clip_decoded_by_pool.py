# SPDX-License-Identifier: Apache-2.0
# Hy2DL#48, mmdetection#6867: each item decodes the frames of a clip in a pool of threads.
import io
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

buffer = io.BytesIO()
noise = np.random.default_rng(1).integers(0, 255, (540, 960, 3), dtype=np.uint8)
Image.fromarray(noise).resize((1280, 720)).save(buffer, "JPEG", quality=85)
FRAME = buffer.getvalue()


def decode(_):
    picture = Image.open(io.BytesIO(FRAME))
    if "fix" in sys.argv:
        picture.draft("RGB", (160, 90))
    return np.asarray(picture.resize((160, 90)))


class Clips(Dataset):
    pool = None

    def __len__(self):
        return 60

    def __getitem__(self, index):
        Clips.pool = Clips.pool or ThreadPoolExecutor(2)
        return torch.from_numpy(np.stack(list(Clips.pool.map(decode, range(8)))))


begin = time.time()
for _batch in DataLoader(Clips(), 2, num_workers=1):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
