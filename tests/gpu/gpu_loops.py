# SPDX-License-Identifier: Apache-2.0
"""What the checks on a GPU share: a loop whose waits are timed, GPU work, truth by a kernel trace.

Importing it changes nothing: neither the environment nor what datastall records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

GAP_NS = 10_000
#: Begin and end of the waits of the loop under way, CLOCK_REALTIME ns, as the trace's times are.
waited: list[tuple[int, int]] = []


class Items(Dataset[torch.Tensor]):
    """Item i takes seconds_of(i)."""

    def __init__(self, seconds_of: Callable[[int], float]) -> None:
        self.seconds_of = seconds_of

    def __len__(self) -> int:
        return 1 << 24

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(self.seconds_of(index))
        return torch.full((256,), float(index % 7))


class Gpu:
    """GPU work of a length that can be chosen: n products of 2048 x 2048."""

    def __init__(self) -> None:
        self.weight = torch.randn(2048, 2048, device="cuda")
        self.state = torch.randn(2048, 2048, device="cuda")

    def work(self, n: int) -> None:
        for _ in range(n):
            self.state = torch.tanh(self.state @ self.weight)


def every(seconds: float) -> Callable[[int], float]:
    return lambda index: seconds


def make_loader(
    seconds_of: Callable[[int], float], workers: int = 4, pin: bool = True
) -> DataLoader[torch.Tensor]:
    return DataLoader(Items(seconds_of), batch_size=4, num_workers=workers, pin_memory=pin)


def waits(loader: Any) -> Iterator[Any]:
    """iter() and next(), with their times: marks in the trace would cost more than a wait."""
    begin = time.time_ns()
    batches = iter(loader)
    waited.append((begin, time.time_ns()))
    try:
        while True:
            begin = time.time_ns()
            batch = next(batches, None)
            waited.append((begin, time.time_ns()))
            if batch is None:
                return
            yield batch
    finally:
        begin = time.time_ns()
        del batches  # its workers are ended, and waited for
        waited.append((begin, time.time_ns()))


Step = Callable[[Any, int], None]


def plain(gpu: Gpu, n: int, sync: bool) -> Step:
    def step(batch: torch.Tensor, index: int) -> None:
        batch = batch.to("cuda", non_blocking=True)
        gpu.work(n)
        if sync:
            float(gpu.state[0, 0] + batch[0, 0])

    return step


def run_plain(loader: Any, step: Step, seconds: float) -> None:
    end = time.monotonic() + seconds
    for index, batch in enumerate(waits(loader)):
        step(batch, index)
        if time.monotonic() > end:
            return


def gpu_work(trace: Any, pageable: bool = True) -> list[tuple[int, int]]:
    """Begin and end of every kernel and copy, CLOCK_REALTIME ns; pageable: also of copies from
    memory that is not pinned, which the host does piece by piece beside the stream's queue."""
    return [
        (event.start_ns(), event.start_ns() + event.duration_ns())
        for event in trace.profiler.kineto_results.events()
        if event.device_type() == torch.autograd.DeviceType.CUDA
        and (pageable or "Pageable" not in event.name())
    ]


def union(intervals: list[tuple[int, int]], gap_ns: int = GAP_NS) -> list[list[int]]:
    """Where there is work, gaps of up to gap_ns merged."""
    merged: list[list[int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1] + gap_ns:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged


def idle_inside(waiting: list[tuple[int, int]], busy: list[list[int]]) -> int:
    total = 0
    at = 0
    for start, end in waiting:
        while at > 0 and busy[at - 1][1] > start:
            at -= 1
        while at < len(busy) and busy[at][1] <= start:
            at += 1
        covered, k = 0, at
        while k < len(busy) and busy[k][0] < end:
            covered += min(end, busy[k][1]) - max(start, busy[k][0])
            k += 1
        total += (end - start) - covered
    return total


def truth_of(trace: Any) -> tuple[int, int]:
    """(idle ns inside the waits, waiting ns)."""
    waiting = sorted(waited)
    return idle_inside(waiting, union(gpu_work(trace))), sum(end - start for start, end in waiting)


def feed_or_starve(device: int, starve: bool, seconds: float) -> int:
    """A training-like loop on a device with a loader that starves it or feeds it; its steps."""
    torch.cuda.set_device(device)
    weight = torch.randn(4096, 4096, device="cuda")
    state = torch.randn(4096, 4096, device="cuda")
    end = time.monotonic() + seconds
    steps = 0
    for batch in make_loader(every(0.016 if starve else 0.0002)):
        batch.to("cuda", non_blocking=True)
        for _ in range(2 if starve else 12):
            state = torch.tanh(state @ weight)
        steps += 1
        if time.monotonic() > end:
            break
    torch.cuda.synchronize()
    return steps
