# SPDX-License-Identifier: Apache-2.0
"""What the programs under test share: data that takes a known time, and their own clocks.

Lies beside a program, as a module of its own would.
"""

from __future__ import annotations

import json
import time
import weakref
from collections.abc import Iterable, Iterator
from typing import Any


def delay_s(index: int) -> float:
    """1 to 6 ms, the same for the same index and in no order."""
    return (1 + (index * 7919 % 11) / 2) * 1e-3


class Slow:
    """A map-style dataset whose items take a known time; `factor` makes them slower."""

    def __init__(self, length: int, factor: float = 1) -> None:
        self.length, self.factor = length, factor

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.length:
            raise IndexError(index)
        time.sleep(delay_s(index) * self.factor)
        return index


def size_of(batch: Any) -> int:
    if isinstance(batch, dict):
        batch = next(iter(batch.values()))
    return len(batch) if hasattr(batch, "__len__") else 1


class Within:
    """Times an iterator's _next_data(), which its __next__() calls: what torch does for a batch."""

    def __init__(self, iterator: Any) -> None:
        # A reference would be a cycle, which keeps the workers for the garbage collector.
        self.iterator = weakref.ref(iterator)
        self.inner = type(iterator)._next_data
        self.took = 0

    def __call__(self) -> Any:
        begin = time.perf_counter_ns()
        try:
            return self.inner(self.iterator())
        finally:
            self.took = time.perf_counter_ns() - begin


class Clock:
    """Times the next() calls of one loader from outside and from within, in nanoseconds.

    What datastall measures lies between the two, whatever else the machine does.
    """

    def __init__(self) -> None:
        self.first: list[tuple[int, int]] = []  # (within, outside)
        self.steady: list[tuple[int, int]] = []
        self.startup_calls = 0  # iter(), first batches and ends
        self.startup: tuple[int, int] = (0, 0)
        self.iterators = 0
        self.samples = 0

    def start(self, iterable: Iterable[Any]) -> Iterator[Any]:
        begin = time.perf_counter_ns()
        iterator = iter(iterable)
        self.add_startup(0, time.perf_counter_ns() - begin)
        self.iterators += 1
        if type(vars(iterator).get("_next_data")) is not Within:  # persistent workers keep theirs
            iterator._next_data = Within(iterator)  # type: ignore[attr-defined]
        return iterator

    def add_startup(self, within: int, outside: int) -> None:
        self.startup = (self.startup[0] + within, self.startup[1] + outside)
        self.startup_calls += 1

    def take(self, iterator: Any, first: bool) -> Any:
        """The next batch; StopIteration passes."""
        begin = time.perf_counter_ns()
        try:
            batch = next(iterator)
        except StopIteration:
            outside = time.perf_counter_ns() - begin
            self.add_startup(iterator._next_data.took, outside)
            raise
        outside = time.perf_counter_ns() - begin
        took = (iterator._next_data.took, outside)
        if first:
            self.first.append(took)
            self.add_startup(*took)
        else:
            self.steady.append(took)
        self.samples += size_of(batch)
        return batch

    def epoch(self, iterable: Iterable[Any], limit: int | None = None) -> Iterator[Any]:
        iterator = self.start(iterable)
        taken = 0
        while limit is None or taken < limit:
            try:
                batch = self.take(iterator, taken == 0)
            except StopIteration:
                return
            taken += 1
            yield batch
        has_workers = hasattr(iterator, "_shutdown_workers")
        begin = time.perf_counter_ns()
        del iterator
        if has_workers:  # which are ended, and waited for
            self.add_startup(0, time.perf_counter_ns() - begin)

    def exhaust(self, iterable: Iterable[Any], limit: int | None = None) -> None:
        for _ in self.epoch(iterable, limit):
            pass


def report(**clocks: Clock) -> None:
    """The last thing that a program prints."""
    print(json.dumps({name: vars(clock) for name, clock in clocks.items()}))
