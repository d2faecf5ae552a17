# SPDX-License-Identifier: Apache-2.0
"""Errors in workers arrive with the same text, traceback and all."""

from torch.utils.data import DataLoader, Dataset


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


class Broken(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 1:
            raise self.error
        return index


errors = [ValueError("a value"), KeyError("a\nkey"), Odd(1, 2), OSError(5, "io")]
for error in errors:
    try:
        for batch in DataLoader(Broken(error), num_workers=1):
            print(batch.item())
    except BaseException as raised:
        print(type(raised).__name__, raised)
