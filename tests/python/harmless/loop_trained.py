# SPDX-License-Identifier: Apache-2.0
"""A seeded training: every index and every loss."""

import torch
from torch.utils.data import DataLoader, Dataset


class Points(Dataset):
    def __init__(self):
        generator = torch.Generator().manual_seed(7)
        self.x = torch.randn(96, 8, generator=generator)
        self.y = self.x.sum(dim=1, keepdim=True) + torch.randn(96, 1, generator=generator)

    def __len__(self):
        return 96

    def __getitem__(self, index):
        # The workers' random numbers are part of the result.
        return index, self.x[index] + 0.01 * torch.randn(8), self.y[index]


torch.manual_seed(3)
torch.set_num_threads(1)
model = torch.nn.Linear(8, 1)
optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
for workers in (0, 2):
    loader = DataLoader(Points(), batch_size=8, shuffle=True, num_workers=workers)
    for epoch in range(2):
        for index, x, y in loader:
            loss = torch.nn.functional.mse_loss(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            print(epoch, index.tolist(), repr(loss.item()))
print(torch.rand(3).tolist(), torch.initial_seed())
