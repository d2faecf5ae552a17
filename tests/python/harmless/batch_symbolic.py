# SPDX-License-Identifier: Apache-2.0
"""Proxies of torch.fx as batches: whoever touches one writes into the graph."""

import torch
import torch.fx
from torch.utils.data import DataLoader


class Model(torch.nn.Module):
    def forward(self, x):
        batches = [x, (x, x), {"attention_mask": x}, [x]]
        for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
            x = x + (batch[0] if isinstance(batch, list) else 1)
        return x


print(torch.fx.symbolic_trace(Model()).graph)
