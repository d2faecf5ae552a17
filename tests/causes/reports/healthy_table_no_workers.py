# SPDX-License-Identifier: Apache-2.0
# After pytorch#4959, as it should be: a table in memory, whole batches indexed, no workers.
import time

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

table = TensorDataset(torch.randn(60_000, 20), torch.zeros(60_000))
sampler = BatchSampler(RandomSampler(table), 512, drop_last=False)
begin = time.time()
for _batch in DataLoader(table, batch_size=None, sampler=sampler):
    time.sleep(0.040)
print(f"{time.time() - begin:.2f} s")
