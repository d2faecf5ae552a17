# SPDX-License-Identifier: Apache-2.0
"""A worker that leaves without a word while the loop waits for it: what torch says of it depends on
where the loop was."""

import multiprocessing
import os
import re
import time

from torch.utils.data import DataLoader, Dataset

last_is_there = multiprocessing.Event()


class Leaving(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 3:
            last_is_there.wait(60)
            time.sleep(1)  # the loop gets to its wait meanwhile
            os._exit(9)
        return index


try:
    for batch in DataLoader(Leaving(), num_workers=1, prefetch_factor=1):
        print(batch.item())
        if batch.item() == 2:
            last_is_there.set()
except RuntimeError as error:
    print(re.sub(r"\d+", "N", str(error)), type(error.__cause__).__name__)
