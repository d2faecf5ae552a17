# SPDX-License-Identifier: Apache-2.0
# fastai's way: torch's own iterator over an object that is not a DataLoader.
import time

import torch
from torch.utils.data import IterableDataset
from torch.utils.data.dataloader import _DatasetKind, _SingleProcessDataLoaderIter


class Five(IterableDataset):
    def __iter__(self):
        return iter(torch.arange(5))


class Pretends:
    _IterableDataset_len_called, _auto_collation, drop_last = None, False, False
    dataset_kind = _dataset_kind = _DatasetKind.Iterable
    dataset = Five()
    num_workers, timeout, prefetch_factor = 0, 0, 2
    pin_memory, pin_memory_device, persistent_workers, in_order = False, "", False, True
    sampler = _index_sampler = range(5)
    generator = multiprocessing_context = _multiprocessing_context = worker_init_fn = None

    @staticmethod
    def collate_fn(rows):
        return rows


begin = time.time()
count = len(list(_SingleProcessDataLoaderIter(Pretends())))
print(f"{time.time() - begin:.2f} s, {count} batches")
