# SPDX-License-Identifier: Apache-2.0
# datasets#7999 reads many files as a stream; here a row of one of them has a field too few.
import time

import torch
from torch.utils.data import DataLoader, IterableDataset


class Stream(IterableDataset):
    def __iter__(self):
        for k in range(400):
            fields = "1,2,3" if k == 333 else "1,2,3,4"
            a, b, c, d = map(float, fields.split(","))
            time.sleep(0.001)
            yield torch.tensor([a, b, c, d])


begin = time.time()
try:
    for _batch in DataLoader(Stream(), 8, num_workers=1):
        time.sleep(0.005)
finally:
    print(f"{time.time() - begin:.2f} s")
