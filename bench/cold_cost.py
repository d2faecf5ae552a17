# SPDX-License-Identifier: Apache-2.0
"""What recording adds to one next() when the caches are cold, as they are after a training step.

Between two batches 32 MB of other memory are written. Three loops over the same ready batch take
turns batch by batch: bare; with a hand-made recorder (clock, shapes, a dataclass in a list); with
datastall.watch(). Each figure is a median over the batches.

    python bench/cold_cost.py [BATCHES [MEGABYTES]]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.pop("DATASTALL_RUN_DIR", None)
os.environ["DATASTALL_DIR"] = tempfile.mkdtemp()

import datastall
import numpy as np
import torch
from plain_recorder import PlainRecorder


def endless(batch: Any) -> Iterator[Any]:
    while True:
        yield batch


def by_hand(batches: Iterator[Any], recorder: PlainRecorder) -> Callable[[], Any]:
    """What such recorders do around next(): the clock, the batch's shape, a record."""
    index = 0

    def step() -> Any:
        nonlocal index
        begin = time.perf_counter()
        batch = next(batches)
        wait_ms = (time.perf_counter() - begin) * 1e3
        if isinstance(batch, dict):
            sequences = batch["input_ids"].shape[0]
            tokens = int(batch["attention_mask"].sum())
        else:
            sequences, tokens = batch[0].shape[0], 0
        recorder.record(wait_ms, index, sequences, tokens)
        index += 1
        return batch

    return step


def ready_batches() -> dict[str, Any]:
    mask = torch.ones(32, 128, dtype=torch.int64)
    return {
        "(images, labels)": (torch.zeros(32, 3, 8, 8), torch.zeros(32, dtype=torch.int64)),
        "dict, mask 32x128": {"input_ids": torch.zeros_like(mask), "attention_mask": mask},
    }


def loops_over(batch: Any) -> dict[str, Callable[[], Any]]:
    """What takes the next batch, of each loop by its name."""
    bare = endless(batch)
    hooked = iter(datastall.watch(endless(batch)))
    return {
        "bare": lambda: next(bare),
        "by hand": by_hand(endless(batch), PlainRecorder()),
        "watch()": lambda: next(hooked),
    }


def added_us(batch: Any, count: int, megabytes: int) -> dict[str, float]:
    other = np.zeros(megabytes << 17 if megabytes else 1)
    steps = loops_over(batch)
    took: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(count):
        for name, step in steps.items():
            other += 1.0
            begin = time.perf_counter()
            step()
            took[name].append((time.perf_counter() - begin) * 1e6)
    medians = {name: statistics.median(values) for name, values in took.items()}
    return {name: medians[name] - medians["bare"] for name in ("by hand", "watch()")}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    print(f"{'batch':<20} {'caches':<7} {'by hand us':>11} {'watch() us':>11} {'ratio':>7}")
    for name, batch in ready_batches().items():
        for cold in (False, True):
            added = added_us(batch, count, megabytes if cold else 0)
            ratio = added["watch()"] / added["by hand"]
            caches = "cold" if cold else "hot"
            print(
                f"{name:<20} {caches:<7} {added['by hand']:11.2f} {added['watch()']:11.2f}"
                f" {ratio:7.2f}"
            )


if __name__ == "__main__":
    main()
