# SPDX-License-Identifier: Apache-2.0
"""Objects that say they are tensors, dicts or lists."""

import torch
from torch.utils.data import DataLoader


def lying(claimed):
    def told(self):
        print("asked for its class:", claimed.__name__)
        return claimed

    return type("Liar", (), {"__class__": property(told)})()


batches = [lying(claimed) for claimed in (torch.Tensor, dict, list, tuple, str, int, type)]
loader = DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)
iterator = iter(loader)
for _ in batches:
    batch = next(iterator)
    print(type(batch).__name__)
