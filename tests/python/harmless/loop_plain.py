# SPDX-License-Identifier: Apache-2.0
"""An ordinary loop, with workers and without."""

import torch
from torch.utils.data import DataLoader, TensorDataset

data = TensorDataset(torch.arange(20.0).reshape(10, 2), torch.arange(10))
for workers in (0, 2):
    for x, y in DataLoader(data, batch_size=3, num_workers=workers):
        print(workers, x.tolist(), y.tolist())
