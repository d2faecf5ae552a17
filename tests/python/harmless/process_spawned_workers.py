# fresh
# SPDX-License-Identifier: Apache-2.0
"""A loader whose workers are spawned."""

import torch
from torch.utils.data import DataLoader, Dataset


class Numbers(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index, torch.rand(1).item()


if __name__ == "__main__":
    torch.manual_seed(5)
    for batch in DataLoader(Numbers(), num_workers=1, multiprocessing_context="spawn"):
        print([part.item() for part in batch])
