# SPDX-License-Identifier: Apache-2.0
"""A data set sees the very indices of its sampler."""

from torch.utils.data import DataLoader, Dataset


class Index:
    def __init__(self, value):
        self.value = value


class Asking(Dataset):
    def __getitem__(self, index):
        return type(index).__name__, index is indices[index.value] if isinstance(
            index, Index
        ) else index

    def __len__(self):
        return 3


indices = [Index(0), Index(1), Index(2)]
for choice in ({"sampler": indices}, {"sampler": range(3)}, {"sampler": ["a", (1, 2), None]}):
    for size in (2, None):
        print(list(DataLoader(Asking(), batch_size=size, collate_fn=lambda x: x, **choice)))


class Batches(Dataset):
    def __getitem__(self, index):
        return index

    def __len__(self):
        return 2


lists = [[1, 2], (3, 4), range(2), {5: 6}]
print(list(DataLoader(Batches(), batch_sampler=lists, collate_fn=lambda x: x)))
