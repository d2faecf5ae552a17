# SPDX-License-Identifier: Apache-2.0
"""The data sets of torch.utils.data, and __getitems__."""

import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset, StackDataset, Subset, TensorDataset
from torch.utils.data.distributed import DistributedSampler


class AtOnce(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        raise AssertionError("one by one")

    def __getitems__(self, indices):
        return [(type(indices).__name__, index) for index in indices]


tensors = TensorDataset(torch.arange(6), torch.arange(6) * 2)
for data in (
    AtOnce(),
    tensors,
    Subset(tensors, [5, 1]),
    ConcatDataset([tensors, tensors]),
    StackDataset(tensors),
):
    for workers in (0, 1):
        print(
            [
                batch
                for batch in DataLoader(data, batch_size=4, num_workers=workers, collate_fn=list)
            ]
        )
sampler = DistributedSampler(tensors, num_replicas=2, rank=1, seed=3)
for epoch in range(2):
    sampler.set_epoch(epoch)
    print([batch[0].tolist() for batch in DataLoader(tensors, batch_size=2, sampler=sampler)])
