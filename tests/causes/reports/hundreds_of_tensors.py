# SPDX-License-Identifier: Apache-2.0
# rf-detr#1399: a batch is a list of hundreds of small tensors, each with a descriptor of its own.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Boxes(Dataset):
    def __len__(self):
        return 1440

    def __getitem__(self, index):
        return torch.ones(7, 4)


def collate(rows):
    if "fix" in sys.argv:
        return torch.cat(rows)
    return [tensor.clone() for row in rows for tensor in row]


begin = time.time()
for _batch in DataLoader(Boxes(), 48, num_workers=1, collate_fn=collate):
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
