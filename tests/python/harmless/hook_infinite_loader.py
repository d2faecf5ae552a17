# SPDX-License-Identifier: Apache-2.0
"""ultralytics' way: the iterator is made once by _get_iterator() and read by a generator."""

from torch.utils.data import DataLoader


class Repeat:
    def __init__(self, sampler):
        self.sampler = sampler

    def __iter__(self):
        while True:
            yield from iter(self.sampler)


class Infinite(DataLoader):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "batch_sampler", Repeat(self.batch_sampler))
        self.iterator = self._get_iterator()

    def __len__(self):
        return len(self.batch_sampler.sampler)

    def __iter__(self):
        for _ in range(len(self)):
            yield next(self.iterator)


for workers in (0, 2):
    loader = Infinite(list(range(6)), batch_size=2, num_workers=workers)
    for epoch in range(3):
        print(workers, epoch, [batch.tolist() for batch in loader])
