# SPDX-License-Identifier: Apache-2.0
"""Trains with two workers, one item of 50 slow; then a second loader without workers."""

import time

import torch
from torch.utils.data import DataLoader, Dataset


class Items(Dataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(0.06 if index % 50 == 49 else 0.001)
        return torch.full((8,), index)


def main() -> None:
    train = DataLoader(Items(800), batch_size=4, num_workers=2)
    for _ in train:
        time.sleep(0.004)
    for _ in DataLoader(Items(64), batch_size=16):
        pass


if __name__ == "__main__":
    main()
