# SPDX-License-Identifier: Apache-2.0
"""A module is traced while batches come; its graph holds nothing of ours."""

import torch
from torch.utils.data import DataLoader

loader = DataLoader([{"attention_mask": torch.ones(4, 6)}] * 3, batch_size=None)


class Model(torch.nn.Module):
    def forward(self, x):
        for batch in loader:
            x = x + batch["attention_mask"].sum()
        return x


print(torch.jit.trace(Model(), torch.zeros(1)).graph)
