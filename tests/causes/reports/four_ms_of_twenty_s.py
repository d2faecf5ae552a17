# SPDX-License-Identifier: Apache-2.0
# Two batches from memory, and that was all.
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

begin = time.time()
for _batch in DataLoader(TensorDataset(torch.zeros(8, 4)), batch_size=4):
    pass
print(f"{time.time() - begin:.2f} s")
