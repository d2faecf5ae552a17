# SPDX-License-Identifier: Apache-2.0
# fvdb-reality-capture#159, transformers#11284: what was trained before is loaded, and skipped.
import io
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

buffer = io.BytesIO()
Image.effect_noise((280, 280), 60).convert("RGB").save(buffer, "JPEG", quality=85)
BATCHES, DONE = 160, 130


class Pictures(Dataset):
    def __len__(self):
        return BATCHES * 8

    def __getitem__(self, index):
        picture = Image.open(io.BytesIO(buffer.getvalue())).resize((64, 64))
        return torch.from_numpy(np.asarray(picture).copy())


order = torch.randperm(BATCHES * 8, generator=torch.Generator().manual_seed(1)).tolist()
done = DONE if "fix" in sys.argv else 0
begin = time.time()
loader = DataLoader(Pictures(), 8, sampler=order[done * 8 :], num_workers=1)
for step, _batch in enumerate(loader, done):
    if step < DONE:
        continue
    time.sleep(0.060)
print(f"{time.time() - begin:.2f} s")
