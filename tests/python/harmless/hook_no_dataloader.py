# SPDX-License-Identifier: Apache-2.0
"""torch's iterators over objects that are no DataLoader, as fastai hands them over."""

import time

import torch
from torch.utils.data.dataloader import (
    _DatasetKind,
    _MultiProcessingDataLoaderIter,
    _SingleProcessDataLoaderIter,
)


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(torch.arange(5))


def same(items):
    return items


class Fake:
    _IterableDataset_len_called, _auto_collation, drop_last = None, False, False
    collate_fn = staticmethod(same)
    dataset_kind = _dataset_kind = _DatasetKind.Iterable
    num_workers, pin_memory, timeout, prefetch_factor = 0, False, 0, 2
    sampler = _index_sampler = range(5)
    generator = worker_init_fn = multiprocessing_context = _multiprocessing_context = None
    persistent_workers, pin_memory_device, in_order = False, "", True

    def __init__(self, **other):
        self.dataset = Stream()
        self.__dict__.update(other)


asked = []


class Evil(Fake):
    @property
    def batch_size(self):
        asked.append("batch_size")
        raise SystemExit(3)

    @property
    def sampler(self):
        asked.append("sampler")
        time.sleep(5)
        return range(5)

    def __getattr__(self, name):
        asked.append(name)
        raise RuntimeError(name)

    __eq__ = None
    __hash__ = None


class Slotted:
    """No __dict__, and no weak references to it."""

    __slots__ = (*(name for name in vars(Fake) if not name.startswith("__")), "dataset")

    def __init__(self):
        for name in self.__slots__:
            setattr(self, name, getattr(made, name))


made = Fake()
for fake in (made, Evil(), Slotted()):
    iterator = _SingleProcessDataLoaderIter(fake)
    print(type(fake).__name__, [int(item) for item in iterator], asked)
    print(sorted(getattr(fake, "__dict__", ())), sorted(vars(iterator)))
fake = Fake(num_workers=2)
print(sorted(int(item) for item in _MultiProcessingDataLoaderIter(fake)))
