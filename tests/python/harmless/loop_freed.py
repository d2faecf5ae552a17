# SPDX-License-Identifier: Apache-2.0
"""Loaders, iterators and data sets die when they are let go of, in the same order."""

import gc
import weakref

from torch.utils.data import DataLoader, Dataset

gc.disable()


class Dying(Dataset):
    def __init__(self, name):
        self.name = name

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return index

    def __del__(self):
        print("gone", self.name)


for name in ("exhausted", "left"):
    loader = DataLoader(Dying(name))
    iterator = iter(loader)
    references = [weakref.ref(thing) for thing in (loader, iterator)]
    while next(iterator, None) is not None and name == "exhausted":
        pass
    print("now", name)
    del loader
    print([reference() is None for reference in references])
    del iterator
    print([reference() is None for reference in references])
print(gc.collect() >= 0, gc.garbage)
