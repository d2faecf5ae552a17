# SPDX-License-Identifier: Apache-2.0
"""Tries on a GPU what `show` advises where the input is not to blame, and what it says of pinning.

    python bench/gpu_step_advice.py [SECONDS] [NAME ...]

Each program is one that gets the advice: it runs as it is and with the advice taken, three times
each, in turns, SECONDS each (2), without datastall. A line says the milliseconds of a step of each
run and the median of one in the other's; loading, compiling and the first steps are left out. What
asks for something else of the program (a larger batch) is told by samples, not by steps.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "gpu"))

from step_programs import BATCH, DEVICE, WIDTH, Rows, model_of, rows_of

RUNS = 3
FIRST_STEPS = 20
#: A step of a program, told which one it is; how many samples it takes.
Step = Callable[[int], None]


def batches(
    batch: int, data: Rows | None = None, workers: int = 2, pinned: bool = True
) -> Iterator[torch.Tensor]:
    loader = DataLoader(
        data or Rows(),
        batch_size=batch,
        num_workers=workers,
        pin_memory=pinned,
        collate_fn=rows_of,
    )
    return iter(loader)


def training_of(
    layers: int, batch: int = BATCH, width: int = WIDTH, compiled: bool = False, **settings: Any
) -> tuple[Callable[[], torch.Tensor], torch.nn.Module]:
    """A step, which returns its loss."""
    model = model_of(layers, width)
    called = torch.compile(model, mode="reduce-overhead") if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), **settings)
    source = batches(batch)
    wider = width // WIDTH

    def step() -> torch.Tensor:
        rows = next(source).to(DEVICE, non_blocking=True)
        loss = called(rows.repeat(1, wider)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step, model


def alone(train: Callable[[], torch.Tensor]) -> Step:
    def step(_number: int) -> None:
        train()

    return step


def optimizer_step(changed: bool) -> tuple[Step, int]:
    settings: dict[str, Any] = {"fused": True} if changed else {"foreach": False}
    return alone(training_of(24, **settings)[0]), BATCH


def optimizer_foreach(changed: bool) -> tuple[Step, int]:
    return alone(training_of(24, foreach=changed)[0]), BATCH


def compiled(changed: bool) -> tuple[Step, int]:
    return alone(training_of(24, compiled=changed)[0]), BATCH


def larger_batch(changed: bool) -> tuple[Step, int]:
    batch = 4 * BATCH if changed else BATCH
    return alone(training_of(24, batch)[0]), batch


def item_of(batch: int, changed: bool) -> tuple[Step, int]:
    train = training_of(24, batch)[0]

    def step(number: int) -> None:
        loss = train()
        if not changed or number % 50 == 0:
            loss.item()

    return step, batch


def item_where_it_launches(changed: bool) -> tuple[Step, int]:
    """Bound by its launches: the GPU is done when item() asks."""
    return item_of(BATCH, changed)


def item_where_it_computes(changed: bool) -> tuple[Step, int]:
    """The GPU takes about as long as the launches, which wait for it."""
    return item_of(16 * BATCH, changed)


def checkpoints(width: int, every: int, aside: str) -> tuple[Step, int]:
    train, model = training_of(24, width=width)
    folder = tempfile.TemporaryDirectory()  # goes with the step
    path = os.path.join(folder.name, "model.pt")
    pending: list[Future[Any]] = []

    def write_beside() -> None:
        for earlier in pending:
            earlier.result()
        if aside == "async_save":
            import torch.distributed.checkpoint as beside

            state = {"model": model.state_dict()}
            pending[:] = [
                beside.async_save(state, checkpoint_id=os.path.join(folder.name, "beside"))
            ]
        else:
            copied = {name: each.cpu() for name, each in model.state_dict().items()}
            pending[:] = [WRITER.submit(torch.save, copied, path)]

    def step(number: int) -> None:
        train()
        if number % every == every - 1:
            write_beside() if aside else torch.save(model.state_dict(), path)

    return step, BATCH


WRITER = ThreadPoolExecutor(1)


def checkpoints_less_often(changed: bool) -> tuple[Step, int]:
    return checkpoints(WIDTH, 500 if changed else 50, "")


def checkpoints_beside(changed: bool) -> tuple[Step, int]:
    """Of 0.1 GB, each 50 steps."""
    return checkpoints(WIDTH, 50, "async_save" if changed else "")


def checkpoints_by_a_thread(changed: bool) -> tuple[Step, int]:
    return checkpoints(WIDTH, 50, "thread" if changed else "")


def large_checkpoints_beside(changed: bool) -> tuple[Step, int]:
    """Of 1.6 GB, each 50 steps."""
    return checkpoints(4 * WIDTH, 50, "async_save" if changed else "")


def large_checkpoints_by_a_thread(changed: bool) -> tuple[Step, int]:
    return checkpoints(4 * WIDTH, 50, "thread" if changed else "")


def metrics_less_often(changed: bool) -> tuple[Step, int]:
    train = training_of(24)[0]
    history = [float(k % 97) for k in range(20_000)]

    def step(number: int) -> None:
        train()
        if not changed or number % 20 == 0:
            sorted(history)
            statistics.fmean(history)

    return step, BATCH


def copies(pinned: bool, batch: int = 16 * BATCH) -> tuple[Step, int]:
    model = model_of(8)
    optimizer = torch.optim.AdamW(model.parameters())
    source = batches(batch, workers=4, pinned=pinned)

    def step(_number: int) -> None:
        rows = next(source).to(DEVICE, non_blocking=pinned)
        model(rows).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, batch


def pinned_copies(changed: bool) -> tuple[Step, int]:
    return copies(changed)


class Floats(Rows):
    def __len__(self) -> int:
        return 1 << 40  # at 64 MiB a batch none ends too early


class Bytes(Floats):
    def __getitems__(self, indices: list[int]) -> torch.Tensor:
        return torch.zeros(len(indices), WIDTH, dtype=torch.uint8)


def pinned_bytes(changed: bool) -> tuple[Step, int]:
    """Batches of 64 MiB, faster than torch's one thread pins them; or as bytes, a quarter."""
    batch = 64 * BATCH
    source = batches(batch, Bytes() if changed else Floats(), workers=8)

    def step(_number: int) -> None:
        next(source).to(DEVICE, non_blocking=True).float().sum()

    return step, batch


PROGRAMS: dict[str, Callable[[bool], tuple[Step, int]]] = {
    "fused=True": optimizer_step,
    "foreach=True": optimizer_foreach,
    "torch.compile, reduce-overhead": compiled,
    "a larger batch": larger_batch,
    "item() less often, bound by launches": item_where_it_launches,
    "item() less often, bound by the GPU": item_where_it_computes,
    "checkpoints less often": checkpoints_less_often,
    "checkpoints by async_save": checkpoints_beside,
    "checkpoints by a thread": checkpoints_by_a_thread,
    "large checkpoints by async_save": large_checkpoints_beside,
    "large checkpoints by a thread": large_checkpoints_by_a_thread,
    "metrics less often": metrics_less_often,
    "pin_memory and non_blocking": pinned_copies,
    "smaller types to pin": pinned_bytes,
}


def synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def ms_of(program: Callable[[bool], tuple[Step, int]], changed: bool, seconds: float) -> float:
    """Milliseconds of a step, or of as many samples."""
    step, samples = program(changed)
    for number in range(FIRST_STEPS):
        step(number)
    synchronize()
    begin, number = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        for _ in range(50):
            step(number)
            number += 1
    synchronize()
    return (time.perf_counter() - begin) * 1e3 / number / samples * BATCH


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float, nargs="?", default=2.0)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--as-is", action="store_true", help="once, for `datastall run` to see")
    options = parser.parse_intermixed_args()
    if any("async_save" in name for name in options.names or PROGRAMS):
        store = torch.distributed.FileStore(tempfile.mktemp(), 1)
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    for name, program in PROGRAMS.items():
        if options.names and name not in options.names:
            continue
        if options.as_is:
            ms_of(program, False, options.seconds)
            continue
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(RUNS):
            for changed in (False, True):
                times[changed].append(ms_of(program, changed, options.seconds))
        faster = statistics.median(times[False]) / statistics.median(times[True])
        said = [", ".join(f"{one:.2f}" for one in times[changed]) for changed in (False, True)]
        print(f"{name}: {said[0]} ms as it is, {said[1]} ms changed; {faster:.2f}x", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
