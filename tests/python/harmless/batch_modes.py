# SPDX-License-Identifier: Apache-2.0
"""Batches that are told under a mode of the program; none of the questions reaches it."""

import os

os.environ.setdefault("DATASTALL_RUN_DIR", "off")

import datastall
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader


class Seeing(TorchFunctionMode):
    seen = 0

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        Seeing.seen += 1
        return function(*arguments, **(keywords or {}))


masks = [{"attention_mask": torch.ones(4, 6)}] * 3
for mode in (Seeing(), torch.device("cpu")):
    loader = DataLoader(masks, batch_size=None, collate_fn=lambda batch: batch)
    watched = iter(datastall.watch(loader, name=type(mode).__name__))
    with mode:
        for _batch in watched:
            before = torch._C._is_torch_function_mode_enabled()
            assert before
print(Seeing.seen)
