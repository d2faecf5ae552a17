# SPDX-License-Identifier: Apache-2.0
"""Loaders, iterators and fetchers hold nothing that the program did not put there."""

import copy
import pickle
import weakref

from torch.utils.data import DataLoader, IterableDataset


class Numbers:
    def __len__(self):
        return 6

    def __getitem__(self, index):
        return index


class Many(Numbers):
    def __getitems__(self, indices):
        print(type(indices).__name__, indices)
        return [self[index] for index in indices]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(6))


def collate(items):
    return items


def looked_at(thing):
    return {name: type(value).__name__ for name, value in vars(thing).items()}


for dataset in (Numbers(), Many(), Stream()):
    for size in (2, None):
        loader = DataLoader(dataset, batch_size=size, collate_fn=collate)
        print(looked_at(loader), loader.collate_fn is collate)
        print(len(pickle.dumps(loader)), looked_at(pickle.loads(pickle.dumps(loader))))
        twin = copy.deepcopy(loader)
        print(
            looked_at(twin) == looked_at(loader),
            list(twin) == list(loader),
            list(copy.copy(loader)),
        )
        iterator = iter(loader)
        print(next(iterator))
        fetcher = iterator._dataset_fetcher
        print(looked_at(iterator), looked_at(fetcher), fetcher.collate_fn is collate)
        if not isinstance(dataset, Stream):
            other = copy.deepcopy(fetcher)
            print(other.fetch([1, 2] if size else 1), other.collate_fn is collate)
            print(len(pickle.dumps(fetcher)), copy.copy(fetcher).fetch([3] if size else 3))
        print(next(iterator), fetcher.collate_fn is collate)
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            try:
                attempt(iterator)
                print("copied")
            except Exception as error:
                print(type(error).__name__, error)
        gone = weakref.ref(iterator)
        del iterator
        print(gone())

loader = DataLoader(
    Numbers(), batch_size=3, num_workers=2, persistent_workers=True, collate_fn=collate
)
print(list(loader), list(loader), looked_at(loader))
iterator = loader._iterator
print(sorted(looked_at(iterator)))
method = iter(loader).__next__
print(method.__func__.__qualname__, method.__self__ is iterator)
