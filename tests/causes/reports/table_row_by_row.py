# SPDX-License-Identifier: Apache-2.0
# DeepCTR-Torch#70, pytorch#106704: a table in memory, indexed and collated row by row by workers.
import sys
import time

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

torch.set_num_threads(1)  # the other CPU is the worker's
table = TensorDataset(torch.randn(200_000, 20), torch.zeros(200_000))
sampler = BatchSampler(RandomSampler(table), 1024, drop_last=False)
begin = time.time()
if "fix" in sys.argv:
    loader = DataLoader(table, batch_size=None, sampler=sampler)
else:
    loader = DataLoader(table, batch_sampler=sampler, num_workers=1)
for _batch in loader:
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
