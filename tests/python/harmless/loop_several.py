# SPDX-License-Identifier: Apache-2.0
"""Several iterators at once, of one loader and nested."""

import torch
from torch.utils.data import DataLoader

torch.manual_seed(3)
loader = DataLoader(range(6), batch_size=2, shuffle=True)
other = DataLoader(range(4), num_workers=1)
for a, b in zip(loader, loader, strict=True):
    print(a.tolist(), b.tolist(), [c.item() for c in other])
first, second = iter(other), iter(other)
print(next(first).item(), next(second).item(), next(first).item(), next(second).item())
