# SPDX-License-Identifier: Apache-2.0
"""Wrapper tensors whose very shape comes from Python."""

import torch
from torch.utils.data import DataLoader


class Wrapper(torch.Tensor):
    @staticmethod
    def __new__(cls, policy):
        return torch.Tensor._make_wrapper_subclass(
            cls, (2, 3), dispatch_sizes_strides_policy=policy
        )

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), keywords=None):
        print("saw", function)
        raise SystemExit(3)


for policy in (None, "strides", "sizes"):
    mask = Wrapper(policy)
    batches = [mask, (mask, mask), {"attention_mask": mask}, {"x": mask}]
    for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
        print(policy, type(batch).__name__)
