# SPDX-License-Identifier: Apache-2.0
"""A command for kill_anything.py: a torch DataLoader with workers.

python kill_torch.py BOARD BATCHES PAUSE_US CODE
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

WORKERS = 2
WORDS_EACH = 2


class Rows(Dataset):
    """Row i is i; every batch is a little work."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return 4 * self.batches

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.full((8,), index)


def main() -> int:
    path, batches, pause_us, code = sys.argv[1], *map(int, sys.argv[2:])
    with open(path, "r+b") as file:
        board = mmap.mmap(file.fileno(), 4096)

    def announce(word: int, value: int) -> None:
        struct.pack_into("=Q", board, 8 * word, value)

    announce(0, os.getpid())
    batches_of = iter(DataLoader(Rows(batches), batch_size=4, num_workers=WORKERS))
    for number, worker in enumerate(batches_of._workers):
        announce((number + 1) * WORDS_EACH, worker.pid)
    for done, _ in enumerate(batches_of, 1):
        announce(1, done)
        time.sleep(pause_us * 1e-6)
    return code


if __name__ == "__main__":
    sys.exit(main())
