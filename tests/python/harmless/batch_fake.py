# SPDX-License-Identifier: Apache-2.0
"""Fake tensors, within their mode and outside."""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils.data import DataLoader

shapes = ShapeEnv()
mode = FakeTensorMode(shape_env=shapes)
fixed = mode.from_tensor(torch.ones(3, 4), static_shapes=True)
open_ended = mode.from_tensor(torch.ones(5, 6), static_shapes=False)
batches = [
    fixed,
    open_ended,
    {"attention_mask": fixed},
    {"attention_mask": open_ended},
    (open_ended,),
]


def loop():
    for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
        print(type(batch).__name__, len(shapes.guards))


loop()
with mode:
    loop()
