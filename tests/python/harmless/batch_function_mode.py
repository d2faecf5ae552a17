# SPDX-License-Identifier: Apache-2.0
"""A TorchFunctionMode sees the program's calls only."""

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader


class Seeing(TorchFunctionMode):
    def __torch_function__(self, function, types, arguments=(), keywords=None):
        print("saw", getattr(function, "__name__", function))
        return function(*arguments, **(keywords or {}))


mask = torch.ones(2, 3)
batches = [mask, (mask, mask), {"attention_mask": mask}, {"cu_seqlens": mask[0]}, {"x": mask}]
with Seeing():
    iterator = iter(DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch))
    for _ in batches:
        next(iterator)
        print("a batch")
    mask + 1
