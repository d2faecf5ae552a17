# SPDX-License-Identifier: Apache-2.0
"""A worker that leaves without a word."""

import os
import re

from torch.utils.data import DataLoader, Dataset


class Leaving(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 3:
            os._exit(9)
        return index


try:
    for batch in DataLoader(Leaving(), num_workers=1, prefetch_factor=1):
        print(batch.item())
except RuntimeError as error:
    print(re.sub(r"\d+", "N", str(error)), type(error.__cause__).__name__)
