# SPDX-License-Identifier: Apache-2.0
"""Tensors that workers share, of many kinds, and what becomes of them."""

import torch
from torch.utils.data import DataLoader, Dataset

kinds = [
    lambda: torch.ones(3),
    lambda: torch.ones(3, dtype=torch.bool),
    lambda: torch.ones(4)[::2],
    lambda: torch.ones(2).expand(3, 2),
    lambda: torch.eye(3).to_sparse(),
    lambda: torch.nn.Parameter(torch.ones(2)),
    lambda: torch.tensor(5),
    lambda: torch.empty(0),
    lambda: torch.ones(2, requires_grad=True),
]


class Kinds(Dataset):
    def __len__(self):
        return len(kinds)

    def __getitem__(self, index):
        return kinds[index]()


for batch in DataLoader(Kinds(), batch_size=None, num_workers=2):
    print(type(batch).__name__, batch.dtype, tuple(batch.shape), batch.requires_grad)
    print(batch.is_sparse or batch.is_shared())
