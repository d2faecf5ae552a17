# SPDX-License-Identifier: Apache-2.0
# deepspeech.pytorch#162, #143: the sampler asks each recording's length from its file, every epoch.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

RECORDINGS = 1000


def duration(index):
    if "fix" not in sys.argv:  # else the manifest says it
        time.sleep(0.001)  # opened on the file server
    return 1 + index * 7919 % 15


class Buckets(Sampler):
    def __len__(self):
        return RECORDINGS // 20

    def __iter__(self):
        order = sorted(range(RECORDINGS), key=duration)
        for first in range(0, RECORDINGS, 20):
            yield order[first : first + 20]


class Recordings(Dataset):
    def __len__(self):
        return RECORDINGS

    def __getitem__(self, index):
        return torch.zeros(400)


loader = DataLoader(Recordings(), batch_sampler=Buckets(), num_workers=1, persistent_workers=True)
begin = time.time()
for _epoch in range(4):
    for _batch in loader:
        time.sleep(0.004)
print(f"{time.time() - begin:.2f} s")
