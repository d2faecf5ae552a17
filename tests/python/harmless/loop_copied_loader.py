# SPDX-License-Identifier: Apache-2.0
"""Loaders are copied and pickled, before, within and after a loop."""

import copy
import pickle

import torch
from torch.utils.data import DataLoader, TensorDataset

loader = DataLoader(TensorDataset(torch.arange(6)), batch_size=4, shuffle=False)
list(loader)
for made in (copy.copy(loader), copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
    print(type(made).__name__, [batch[0].tolist() for batch in made], made.batch_size)
names = sorted(vars(made))
print([name for name in names if not name.startswith("_datastall")])
for name in ("batch_size", "sampler", "dataset", "other"):
    try:
        setattr(made, name, 3)
        print(name, "set")
    except ValueError as error:
        print(name, error)
