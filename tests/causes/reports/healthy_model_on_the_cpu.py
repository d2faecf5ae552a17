# SPDX-License-Identifier: Apache-2.0
# After Lightning#17410, a comment: the model computes on the CPU, one worker decodes ahead.
import io
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(1)
buffer = io.BytesIO()
Image.effect_noise((160, 120), 60).convert("RGB").save(buffer, "JPEG")


class Pictures(Dataset):
    def __len__(self):
        return 640

    def __getitem__(self, index):
        picture = Image.open(io.BytesIO(buffer.getvalue()))
        return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)


model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 8, 3))
begin = time.time()
for batch in DataLoader(Pictures(), 8, num_workers=1):
    model(batch.float()).mean().backward()
print(f"{time.time() - begin:.2f} s")
