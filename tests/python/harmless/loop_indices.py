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


class Changing(Dataset):
    """Whose list of indices grows and shrinks while it is gone through."""

    def __getitem__(self, index):
        if index == 1:
            growing.append(7)
        if index == 5:
            shrinking.pop()
        if index == 9:
            emptied.clear()
        return index


growing, shrinking, emptied = [1, 2], [4, 5, 6], [9, 10, 11]
lists = [growing, shrinking, emptied, [True, -1, 1 << 70, 1.5]]
print(list(DataLoader(Changing(), batch_sampler=lists, collate_fn=lambda x: x)))
