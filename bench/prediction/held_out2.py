# SPDX-License-Identifier: Apache-2.0
"""Programs of kinds that neither programs.py nor held_out.py has, written when the intervals were
fixed for the second time: ``held_out2.py NAME``."""

from __future__ import annotations

import functools
import os
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
import torch
from programs import Items, compute, run, small, think
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    WeightedRandomSampler,
    get_worker_info,
)


def chunked_file() -> None:
    """Rows out of compressed chunks of one file, as HDF5 has them; every worker opens it anew."""
    path = Path(tempfile.gettempdir()) / f"datastall-chunks-{os.getpid()}"
    chunks = [numpy.random.default_rng(k).integers(0, 9, 65_536, numpy.uint8) for k in range(48)]
    packed = [zlib.compress(chunk.tobytes(), 1) for chunk in chunks]
    places = [sum(map(len, packed[:k])) for k in range(len(packed))]
    path.write_bytes(b"".join(packed))
    opened: dict[int, int] = {}

    def make(index: int) -> torch.Tensor:
        if os.getpid() not in opened:
            opened[os.getpid()] = os.open(path, os.O_RDONLY)
        chunk = index * 7 % len(packed)
        data = os.pread(opened[os.getpid()], len(packed[chunk]), places[chunk])
        row = numpy.frombuffer(zlib.decompress(data), numpy.uint8)[:4096]
        return torch.from_numpy(row.astype(numpy.float32))

    run(DataLoader(Items(4800, make), 16, num_workers=1, shuffle=True), step_ms=5)
    path.unlink()


def cache_in_worker() -> None:
    """Each worker remembers the last parts that it fetched: more of them fetch more often."""

    @functools.lru_cache(maxsize=24)
    def fetch(part: int) -> int:
        time.sleep(0.012)
        return think(3) + part

    def make(index: int) -> torch.Tensor:
        return small(fetch(random.Random(index).randrange(60)))

    run(DataLoader(Items(1200, make), 8, num_workers=2), step_ms=6)


def buckets() -> None:
    """Batches of 2 to 40 items of one length each: a batch has so many that all have as much."""

    def make(index: int) -> torch.Tensor:
        return small(think(0.05 * (1 + index % 20)))

    order = [i for length in range(20) for i in range(length, 4000, 20)]
    sizes = {length: 40 // (1 + length) + 2 for length in range(20)}
    batches = [
        batch
        for length in range(20)
        for batch in BatchSampler(order[200 * length : 200 * (length + 1)], sizes[length], False)
    ]
    random.Random(1).shuffle(batches)
    run(DataLoader(Items(4000, make), batch_sampler=batches, num_workers=2), step_ms=4)


class Shuffled(IterableDataset):
    """A stream that its workers share out, each of which first fills a buffer to draw from."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        info = get_worker_info()
        mine, all_of = (0, 1) if info is None else (info.id, info.num_workers)
        buffer: list[int] = []
        for index in range(mine, 2400, all_of):
            time.sleep(0.001)
            buffer.append(index)
            if len(buffer) == 100:
                compute(0.8)
                yield small(buffer.pop(random.Random(index).randrange(100)))
        yield from map(small, buffer)


def shuffle_buffer() -> None:
    run(DataLoader(Shuffled(), 16, num_workers=2), step_ms=10, epochs=2)


def native_threads() -> None:
    """Two threads of each worker inflate what an item has, without the interpreter's lock."""
    blob = zlib.compress(random.Random(0).randbytes(60_000) + bytes(900_000), 6)
    pools: dict[int, ThreadPoolExecutor] = {}

    def make(index: int) -> torch.Tensor:
        pool = pools.setdefault(os.getpid(), ThreadPoolExecutor(2))
        sizes = pool.map(lambda _: len(zlib.decompress(blob)), range(4))
        return small(sum(sizes))

    run(DataLoader(Items(480, make), 8, num_workers=1), step_ms=5)


def drawn_by_weight() -> None:
    """A data set of 256 rows, drawn from by weight in many short epochs."""

    def make(index: int) -> torch.Tensor:
        time.sleep(0.001)
        return small(think(0.3))

    sampler = WeightedRandomSampler([1.0 + i % 7 for i in range(256)], 256)
    loader = DataLoader(
        Items(256, make), 16, sampler=sampler, num_workers=1, persistent_workers=True
    )
    run(loader, step_ms=8, epochs=15)


PROGRAMS: dict[str, Callable[[], Any]] = {
    made.__name__: made
    for made in (
        *(chunked_file, cache_in_worker, buckets, shuffle_buffer),
        *(native_threads, drawn_by_weight),
    )
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
