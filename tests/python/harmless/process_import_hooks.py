# SPDX-License-Identifier: Apache-2.0
"""Modules that a program may stumble over."""

import pkgutil
import sys

import torch
from torch.utils.data import DataLoader

list(DataLoader(range(2)))
print([name for name in dir(torch.utils.data) if "datastall" in name.lower()])
print([name for name in vars(torch.utils.data.dataloader) if "datastall" in name.lower()])
print(len([module for module in pkgutil.iter_modules(torch.utils.data.__path__)]))
print(all(hasattr(finder, "find_spec") for finder in sys.meta_path), "sitecustomize" in dir())
