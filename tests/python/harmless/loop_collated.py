# SPDX-License-Identifier: Apache-2.0
"""default_collate and friends, on samples of many kinds."""

import collections

import numpy as np
import torch
from torch.utils.data import DataLoader, default_collate, default_convert

Pair = collections.namedtuple("Pair", ["x", "y"])
samples = [
    [1, 2],
    ["a", "b"],
    [(1, "x"), (2, "y")],
    [Pair(1, 2.0), Pair(3, 4.0)],
    [{"a": 1, "b": [1, 2]}, {"a": 3, "b": [3, 4]}],
    [np.zeros(2), np.ones(2)],
    [torch.zeros(2), torch.ones(2)],
    [b"x", b"y"],
    [None, None],
    [torch.zeros(2), torch.ones(3)],
]
for data in samples:
    for collate in (None, default_convert, list):
        try:
            print(next(iter(DataLoader(data, batch_size=2, collate_fn=collate))))
        except (TypeError, RuntimeError) as error:
            print(type(error).__name__, str(error).splitlines()[0])
print(default_collate([1.5, 2.5]))
