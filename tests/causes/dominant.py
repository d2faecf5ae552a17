# SPDX-License-Identifier: Apache-2.0
"""Programs whose planted cause dominates by construction, however busy the machine is.

    python dominant.py NAME

What waits sleeps for so long at a time that waiting for a CPU beside it, and the way of a batch
between two processes of a busy machine, stay the smaller part; what computes is taken together with
that waiting. Programs as somebody would write them, which a busy machine may turn into another
case, are in plants.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from common import Items, loader, pretend_accelerator, run, spin, tensor
from plants import SleepingPinned, SlowSampler
from torch.utils.data import IterableDataset

PLANTS: dict[str, tuple[str, Callable[[], None]]] = {}
LONG_S = 0.4
COUNT = 8


def plant(cause: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def put(program: Callable[[], None]) -> Callable[[], None]:
        PLANTS[program.__name__] = (cause, program)
        return program

    return put


@plant("compute")
def compute_in_the_loop() -> None:
    def make(index: int) -> torch.Tensor:
        spin(0.003)
        return tensor(index)

    run(loader(Items(400, make), num_workers=0), 0.004)


@plant("blocked")
def blocked_sleep() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(LONG_S)
        return tensor(index)

    run(loader(Items(COUNT, make), batch_size=1, num_workers=1))


@plant("collate")
def collate_sleep() -> None:
    def collate(rows: list[torch.Tensor]) -> torch.Tensor:
        time.sleep(LONG_S)
        return torch.stack(rows)

    run(loader(Items(COUNT, tensor), batch_size=1, num_workers=1, collate_fn=collate))


@plant("transfer")
def transfer_python_objects() -> None:
    ready = [(index, k, str(k)) for index in range(2000) for k in range(40)]

    def rows(batch: list[Any]) -> list[Any]:
        return ready

    # Enough that starting the workers on a busy machine is a small part of it.
    run(loader(Items(120, lambda index: index), batch_size=1, collate_fn=rows))


class LongPinned(SleepingPinned):
    def pin_memory(self) -> LongPinned:
        time.sleep(LONG_S)
        return self


@plant("pin")
def pin_sleep() -> None:
    pretend_accelerator()
    items = Items(COUNT, tensor)
    run(loader(items, batch_size=1, num_workers=1, collate_fn=LongPinned, pin_memory=True))


@plant("head_of_line")
def line_one_in_twelve() -> None:
    def make(index: int) -> torch.Tensor:
        if index % 12 == 7:
            time.sleep(2 * LONG_S)
        return tensor(index)

    run(loader(Items(60, make), batch_size=1, num_workers=3), 0.001)


@plant("sampler")
def sampler_sleep() -> None:
    sampler = SlowSampler(COUNT, LONG_S, False)
    run(loader(Items(COUNT, tensor), batch_size=1, num_workers=1, sampler=sampler))


@plant("startup")
def startup_opening_an_archive() -> None:
    def open_archive(worker: int) -> None:
        time.sleep(LONG_S)

    run(loader(Items(16, tensor), worker_init_fn=open_archive), 0.002, epochs=COUNT)


@plant("epoch_start")
def epoch_start_filling_a_buffer() -> None:
    class Filled(IterableDataset):
        def __iter__(self) -> Iterator[torch.Tensor]:
            time.sleep(3 * LONG_S)
            for index in range(24):
                yield tensor(index)

    run(loader(Filled(), num_workers=1), 0.002, epochs=3)


@plant("interpreter")
def interpreter_of_another_thread() -> None:
    def compute() -> None:
        while True:
            sum(k * k for k in range(1000))

    ready = iter(loader(Items(60, tensor), batch_size=1, num_workers=1, prefetch_factor=24))
    next(ready)
    sys.setswitchinterval(0.03)  # each time that the loop needs the interpreter
    threading.Thread(target=compute, daemon=True).start()
    run(ready, 0.002)


@plant("loop_cpu_wait")
def loop_without_a_cpu() -> None:
    """The loop's thread is of a low priority, on a CPU that a neighbour keeps busy. Not of the
    lowest: that waits for 0.2 s each time that it wakes up, and its end for minutes where others
    have the CPUs as well."""
    cpus = sorted(os.sched_getaffinity(0))
    ready = iter(loader(Items(40, tensor), batch_size=1, num_workers=1, prefetch_factor=24))
    next(ready)
    os.sched_setaffinity(0, cpus[:1])
    neighbour = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    os.setpriority(os.PRIO_PROCESS, 0, 10)  # of this thread, not of the worker
    run(ready, 0.002)
    os.sched_setaffinity(0, cpus)
    neighbour.kill()
    neighbour.wait()


@plant("none")
def healthy_in_the_loop() -> None:
    run(loader(Items(COUNT * 4, tensor), num_workers=0), LONG_S)


if __name__ == "__main__":
    PLANTS[sys.argv[1]][1]()
