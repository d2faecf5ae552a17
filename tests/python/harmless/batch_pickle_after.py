# SPDX-License-Identifier: Apache-2.0
"""A batch pickles to the same bytes and has the same attributes after it was looked at."""

import hashlib
import io
import pickle

import torch
from torch.utils.data import DataLoader


class Batch:
    def __init__(self, **fields):
        self.__dict__.update(fields)


def digest(thing):
    stream = io.BytesIO()
    pickle.Pickler(stream, protocol=4).dump(thing)
    return hashlib.sha256(stream.getvalue()).hexdigest()[:12]


batches = [
    Batch(x=1, y=[2]),
    {"attention_mask": torch.ones(2, 3)},
    (torch.ones(3), [1]),
    [torch.ones(2)],
]
before = [digest(batch) for batch in batches]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__, sorted(getattr(batch, "__dict__", ())))
print(before == [digest(batch) for batch in batches])
