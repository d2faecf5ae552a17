# SPDX-License-Identifier: Apache-2.0
"""Tensor subclasses that see all that is done with them."""

import torch
from torch.utils.data import DataLoader


class Seeing(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, arguments=(), keywords=None):
        print("saw", getattr(function, "__name__", function))
        return super().__torch_function__(function, types, arguments, keywords)

    @property
    def shape(self):
        print("shape")
        return (1,)

    def __len__(self):
        print("length")
        return 1


mask = torch.ones(2, 3).as_subclass(Seeing)
batches = [mask, (mask, mask), {"attention_mask": mask}, {"cu_seqlens": mask}, {"x": mask}, [mask]]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
