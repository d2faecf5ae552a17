# fresh
# SPDX-License-Identifier: Apache-2.0
"""torch's module is executed again."""

import importlib

import torch.utils.data.dataloader as module

first = module.DataLoader
print([batch.tolist() for batch in first([1, 2])])
again = importlib.reload(module)
print(again is module, module.DataLoader is first, type(module.__loader__).__name__)
print([batch.tolist() for batch in module.DataLoader([1, 2])])
print([batch.tolist() for batch in first([1, 2])])
print(type(module.__spec__.loader).__name__, module.__spec__.name)
