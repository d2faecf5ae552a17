# SPDX-License-Identifier: Apache-2.0
"""Signatures, documentation, pickles and copies of a DataLoader."""

import copy
import inspect
import pickle

import torch.utils.data.dataloader as module

DataLoader, Base = module.DataLoader, module._BaseDataLoaderIter
for method in (DataLoader.__init__, DataLoader.__iter__, Base.__init__, Base.__next__):
    print(method.__name__, method.__qualname__, method.__module__)
    print(inspect.signature(method), method.__doc__, method.__annotations__)
    print(inspect.getsource(method))
print(inspect.signature(DataLoader))
print(sorted(vars(DataLoader)), sorted(vars(Base)))
print(module.__spec__.loader, module.__loader__, module.__file__)
data = DataLoader(list(range(10)), batch_size=5)
pickled = pickle.loads(pickle.dumps(data))
for loader in (data, copy.copy(data), copy.deepcopy(data), pickled):
    print([batch.tolist() for batch in loader], loader)
print(iter(data).__next__().tolist(), Base.__next__(iter(data)).tolist())
