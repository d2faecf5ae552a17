# SPDX-License-Identifier: Apache-2.0
"""StopIteration from places where it does not belong."""

import gc

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset


class Stops(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 2:
            raise StopIteration("from an item")
        return index


class Counts(IterableDataset):
    def __iter__(self):
        yield from range(5)


class Empty(IterableDataset):
    def __iter__(self):
        return iter(())


def stops(samples):
    raise StopIteration


for workers in (0, 1):
    for data, collate in ((Stops(), None), (Counts(), None), (Empty(), None), (Counts(), stops)):
        got = []
        gc.collect()  # a worker that inherits an iterator of before may complain at its end
        try:
            for batch in DataLoader(data, num_workers=workers, collate_fn=collate):
                got.append(batch.tolist() if isinstance(batch, torch.Tensor) else batch)
        except Exception as error:
            print(type(error).__name__, type(error.__cause__).__name__, error.__suppress_context__)
        print(workers, type(data).__name__, got)
