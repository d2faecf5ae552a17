# SPDX-License-Identifier: Apache-2.0
"""Iterators of one's own, made of torch's."""

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import (
    _BaseDataLoaderIter,
    _MultiProcessingDataLoaderIter,
    _SingleProcessDataLoaderIter,
)


class Single(_SingleProcessDataLoaderIter):
    def __next__(self):
        return super().__next__() * 10

    def _next_data(self):
        return super()._next_data() + 1


class Multi(_MultiProcessingDataLoaderIter):
    def _try_get_data(self, *arguments, **keywords):
        Multi.tries = getattr(Multi, "tries", 0) + 1
        return super()._try_get_data(*arguments, **keywords)


class Bare(_BaseDataLoaderIter):
    def __init__(self, loader):
        super().__init__(loader)
        self.left = [3, 2, 1]

    def _next_data(self):
        if not self.left:
            raise StopIteration
        return self.left.pop()


class Mine(DataLoader):
    def _get_iterator(self):
        return {0: Single, 1: Multi}[self.num_workers](self)


for workers in (0, 1):
    print([batch.item() for batch in Mine(range(4), num_workers=workers)])
print(Multi.tries >= 4, list(Bare(DataLoader(range(3)))))
iterator = Single(DataLoader(range(3)))
print([batch.item() for batch in iterator], iterator._num_yielded)
