# SPDX-License-Identifier: Apache-2.0
"""Samplers: generators, lists, batches of several lengths, none."""

import torch
from torch.utils.data import BatchSampler, DataLoader, Sampler, SequentialSampler


class Odd(Sampler):
    def __init__(self):
        pass

    def __iter__(self):
        print("sampler begins")
        yield from (1, 3, 5)
        print("sampler ends")


def tolist(batch):
    return batch.tolist() if isinstance(batch, torch.Tensor) else batch


data = list(range(8))
choices = [
    {"sampler": Odd()},
    {"batch_sampler": [[1], [2, 3], []]},
    {"batch_sampler": BatchSampler(SequentialSampler(data), 3, True)},
    {"batch_sampler": iter([[4], [5, 6]]), "collate_fn": list},
    {"batch_size": None, "sampler": [[1, 2], [3]]},
    {"batch_size": 5, "drop_last": True},
    {"batch_size": None},
]
for choice in choices:
    try:
        print([tolist(batch) for batch in DataLoader(data, **choice)])
    except Exception as error:
        print(type(error).__name__, error)
print([tolist(batch) for batch in DataLoader(data, sampler=Odd(), num_workers=1)])
print(list(DataLoader([])), list(DataLoader(data, batch_size=10, drop_last=True)))
