# SPDX-License-Identifier: Apache-2.0
"""Persistent workers live through the epochs, others do not."""

import os

from torch.utils.data import DataLoader, Dataset


class Pids(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return os.getpid()


for persistent in (True, False):
    loader = DataLoader(Pids(), num_workers=2, persistent_workers=persistent)
    epochs = [{batch.item() for batch in loader} for _ in range(3)]
    print(persistent, [len(pids) for pids in epochs], epochs[0] == epochs[1] == epochs[2])
    iterator = iter(loader)
    print(iter(loader) is iterator, len(iterator._workers))
