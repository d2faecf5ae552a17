# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: step time with against without datastall, in one process.

Two iterators of the same loader take turns over segments of 100 steps; one is not recorded. Two
models: many small kernels (bound by their launches) and a few large ones (bound by the GPU).

python bench/gpu_step_cost.py [PAIRS]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.pop("DATASTALL_RUN_DIR", None)

import datastall
import torch
from datastall import _core
from torch.utils.data import DataLoader, TensorDataset

STEPS = 100


def launch_bound() -> Callable[[torch.Tensor], None]:
    state = torch.randn(64, 64, device="cuda")

    def step(batch: torch.Tensor) -> None:
        nonlocal state
        batch.to("cuda", non_blocking=True)
        for _ in range(400):
            state = torch.tanh(state)
        float(state[0, 0])

    return step


def gpu_bound() -> Callable[[torch.Tensor], None]:
    weight = torch.randn(4096, 4096, device="cuda")
    state = torch.randn(4096, 4096, device="cuda")

    def step(batch: torch.Tensor) -> None:
        nonlocal state
        batch.to("cuda", non_blocking=True)
        for _ in range(3):
            state = torch.tanh(state @ weight)

    return step


def segment(iterator: Any, step: Callable[[torch.Tensor], None]) -> float:
    """Milliseconds a step."""
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(STEPS):
        step(next(iterator)[0])
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) / STEPS * 1e3


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    datastall.install(tempfile.mkdtemp())
    data = TensorDataset(torch.zeros(STEPS * (pairs + 2) * 4, 64))
    loader = DataLoader(data, batch_size=4, num_workers=2, pin_memory=True)
    print(torch.cuda.get_device_name(0))
    for name, make in (("launch-bound", launch_bound), ("GPU-bound", gpu_bound)):
        step = make()
        recorded, bare = iter(loader), iter(loader)
        _core.remember(bare, None)  # the hook passes straight through
        segment(recorded, step), segment(bare, step)
        ratios, times = [], []
        for pair in range(pairs):
            # Each comes first every other time.
            order = (recorded, bare) if pair % 2 == 0 else (bare, recorded)
            taken = {id(iterator): segment(iterator, step) for iterator in order}
            ratios.append(taken[id(recorded)] / taken[id(bare)])
            times.append(taken[id(bare)])
        quartiles = statistics.quantiles(ratios, n=4)
        error = statistics.stdev(ratios) / pairs**0.5
        added = (statistics.mean(ratios) - 1) * statistics.mean(times) * 1e3
        print(
            f"{name:<12} {statistics.median(times):6.2f} ms a step: ratio "
            f"{statistics.mean(ratios):.4f} +- {2 * error:.4f} (median {quartiles[1]:.4f}, "
            f"{pairs} pairs), {added:+.0f} us a batch"
        )


if __name__ == "__main__":
    main()
