# SPDX-License-Identifier: Apache-2.0
"""A program that reloads torch's module, or imports it anew."""

import importlib
import sys

import torch
from torch.utils.data import DataLoader, dataloader

print([batch.item() for batch in DataLoader(range(3))])
importlib.reload(dataloader)
print(dataloader.DataLoader is DataLoader)
for kind in (DataLoader, dataloader.DataLoader):
    print([batch.item() for batch in kind(range(3))])
del sys.modules["torch.utils.data.dataloader"]
anew = importlib.import_module("torch.utils.data.dataloader")
print([batch.item() for batch in anew.DataLoader(range(3))], anew is dataloader)
print([batch.item() for batch in torch.utils.data.DataLoader(range(3), num_workers=1)])
