# SPDX-License-Identifier: Apache-2.0
# torchdatasets#26, pytorch#35795: items are cached in the workers, which end with each epoch.
import io
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

buffer = io.BytesIO()
Image.effect_noise((500, 500), 60).convert("RGB").save(buffer, "JPEG", quality=85)


class Cached(Dataset):
    def __init__(self):
        self.items = {}

    def __len__(self):
        return 96

    def __getitem__(self, index):
        if index not in self.items:
            picture = Image.open(io.BytesIO(buffer.getvalue())).resize((64, 64))
            self.items[index] = torch.from_numpy(np.asarray(picture).copy())
        return self.items[index]


begin = time.time()
loader = DataLoader(Cached(), 8, num_workers=1, persistent_workers="fix" in sys.argv)
for _epoch in range(5):
    for _batch in loader:
        time.sleep(0.003)
print(f"{time.time() - begin:.2f} s")
