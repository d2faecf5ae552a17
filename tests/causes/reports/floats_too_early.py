# SPDX-License-Identifier: Apache-2.0
# mx-maskrcnn#108, soumith in pytorch#3830: large float batches of numpy, where bytes would do.
import sys
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

IMAGES = [np.full((3, 512, 512), k, np.uint8) for k in range(8)]


class Images(Dataset):
    def __len__(self):
        return 400

    def __getitem__(self, index):
        return IMAGES[index % 8]


def collate(rows):
    if "fix" in sys.argv:
        return torch.from_numpy(np.stack(rows))  # the model makes floats of them
    return np.stack(rows).astype(np.float32)  # pickled, byte by byte


begin = time.time()
for _batch in DataLoader(Images(), 16, num_workers=1, collate_fn=collate):
    time.sleep(0.004)
print(f"{time.time() - begin:.2f} s")
