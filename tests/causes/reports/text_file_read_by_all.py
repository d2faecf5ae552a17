# SPDX-License-Identifier: Apache-2.0
# discuss.pytorch.org 53815, ms-swift#4061: every worker parses the whole text file.
import sys
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

with open("rows.csv", "w") as file:
    for k in range(6000):
        file.write(",".join(str(k * i % 997) for i in range(400)) + "\n")


class Lines(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        with open("rows.csv") as file:
            for k, line in enumerate(file):
                if "fix" not in sys.argv or k % info.num_workers == info.id:
                    yield torch.tensor([float(word) for word in line.split(",")])


begin = time.time()
count = sum(len(batch) for batch in DataLoader(Lines(), 16, num_workers=2))
print(f"{time.time() - begin:.2f} s, {count} rows")
