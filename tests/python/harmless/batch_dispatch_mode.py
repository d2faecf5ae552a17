# SPDX-License-Identifier: Apache-2.0
"""A TorchDispatchMode sees the program's operators only."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader


class Seeing(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        print("saw", function)
        return function(*arguments, **(keywords or {}))


mask = torch.ones(2, 3)
batches = [mask, (mask, mask), {"attention_mask": mask}, {"x": mask}, {"input_ids": mask}]
with Seeing():
    for _batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
        print("a batch")
    mask + 1
