# SPDX-License-Identifier: Apache-2.0
# mmcv#214, rf-detr#1389: pictures are decoded at 1600 x 1200 for a model that sees 128 x 128.
import io
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

buffer = io.BytesIO()
Image.effect_noise((1600, 1200), 60).convert("RGB").save(buffer, "JPEG", quality=80)


class Pictures(Dataset):
    def __len__(self):
        return 160

    def __getitem__(self, index):
        picture = Image.open(io.BytesIO(buffer.getvalue()))
        if "fix" in sys.argv:
            picture.draft("RGB", (128, 128))
        return torch.from_numpy(np.asarray(picture.resize((128, 128))).copy())


begin = time.time()
for _batch in DataLoader(Pictures(), 8, num_workers=1):
    time.sleep(0.010)
print(f"{time.time() - begin:.2f} s")
