# SPDX-License-Identifier: Apache-2.0
"""A training-like loop on cuda:0 with a loader that starves it or feeds it.

python loop.py starved|fed SECONDS
"""

from __future__ import annotations

import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Items(Dataset[torch.Tensor]):
    def __init__(self, item_s: float) -> None:
        self.item_s = item_s

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(self.item_s)
        return torch.full((64,), float(index % 7))


def main() -> None:
    mode, seconds = sys.argv[1], float(sys.argv[2])
    item_s = {"starved": 0.016, "fed": 0.0002}[mode]
    loader = DataLoader(Items(item_s), batch_size=8, num_workers=4, pin_memory=True)
    size = {"starved": 4096, "fed": 8192}[mode]
    weight = torch.randn(size, size, device="cuda")
    state = torch.randn(size, size, device="cuda")
    end = time.monotonic() + seconds
    steps = 0
    for batch in loader:
        batch = batch.to("cuda", non_blocking=True)
        for _ in range(2 if mode == "starved" else 12):
            state = torch.tanh(state @ weight) + batch.mean()
        float(state[0, 0])
        steps += 1
        if time.monotonic() > end:
            break
    print(f"{mode}: {steps} steps")


if __name__ == "__main__":
    main()
