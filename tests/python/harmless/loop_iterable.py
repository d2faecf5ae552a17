# SPDX-License-Identifier: Apache-2.0
"""Iterable data sets, shared out among workers, with a length that is wrong."""

import warnings

from torch.utils.data import ChainDataset, DataLoader, IterableDataset, get_worker_info


class Shared(IterableDataset):
    def __init__(self, length=None):
        self.length = length

    def __len__(self):
        if self.length is None:
            raise TypeError("no length")
        return self.length

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, 10, step))


for workers in (0, 1, 2):
    print([batch.tolist() for batch in DataLoader(Shared(), batch_size=3, num_workers=workers)])
print([batch.tolist() for batch in DataLoader(ChainDataset([Shared(), Shared()]), batch_size=7)])
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    print([batch.tolist() for batch in DataLoader(Shared(2), batch_size=4)])
    print([str(warning.message)[:60] for warning in said], [warning.lineno for warning in said])
