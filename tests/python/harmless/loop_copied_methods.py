# SPDX-License-Identifier: Apache-2.0
"""Methods of the loader are pickled and copied as functions are."""

import copy
import pickle

from torch.utils.data import DataLoader, dataloader
from torch.utils.data._utils import fetch, pin_memory

base = dataloader._BaseDataLoaderIter
functions = [
    DataLoader.__init__,
    DataLoader.__iter__,
    base.__init__,
    base.__next__,
    base._next_index,
]
functions += [fetch._MapDatasetFetcher.fetch, pin_memory.pin_memory]
for function in functions:
    print(function.__qualname__, pickle.loads(pickle.dumps(function)) is function)
    print(copy.deepcopy(function) is function, copy.copy(function) is function)
loader = DataLoader([1, 2])
bound = pickle.loads(pickle.dumps(loader.__iter__))
print([batch.item() for batch in bound()], bound.__self__ is loader)
