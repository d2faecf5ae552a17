# SPDX-License-Identifier: Apache-2.0
# anomalib#1862, wav2pix#6: a batch of which one picture has no channels cannot be stacked.
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    def __len__(self):
        return 4000

    def __getitem__(self, index):
        time.sleep(0.001)
        return torch.zeros(24, 24) if index == 2405 else torch.zeros(3, 24, 24)


begin = time.time()
for _batch in DataLoader(Pictures(), 8, num_workers=2):
    time.sleep(0.012)
print(f"{time.time() - begin:.2f} s")
