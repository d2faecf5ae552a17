# SPDX-License-Identifier: Apache-2.0
"""Lengths that are negative, enormous, or no numbers."""

from torch.utils.data import DataLoader


class Long:
    def __init__(self, length):
        self.length = length

    def __len__(self):
        print("asked for its length")
        return self.length

    def __getitem__(self, index):
        raise IndexError(index)

    def keys(self):
        return ()


batches = [Long(-1), Long(2**70), Long("three"), [Long(-5)], {"x": Long(-5)}]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
