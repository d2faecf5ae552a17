# SPDX-License-Identifier: Apache-2.0
"""A worker that is too slow for the loader's timeout."""

import re
import time

from torch.utils.data import DataLoader, Dataset


class Slow(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        time.sleep(60 * index)
        return index


try:
    for batch in DataLoader(Slow(), num_workers=2, timeout=0.5):
        print(batch.item())
except RuntimeError as error:
    print(re.sub(r"\d+\.?\d*", "N", str(error)))
