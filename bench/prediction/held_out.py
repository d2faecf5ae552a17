# SPDX-License-Identifier: Apache-2.0
"""Programs that were written after the model was fixed, of other kinds: ``held_out.py NAME``."""

from __future__ import annotations

import gzip
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
import torch
from programs import Items, compute, run, small, think
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, get_worker_info


def pool_in_item() -> None:
    """Four requests at once for each item, by threads of the worker."""
    pools: list[ThreadPoolExecutor] = []

    def ask(_: int) -> int:
        time.sleep(0.003)
        return think(0.3)

    def make(index: int) -> torch.Tensor:
        if not pools:
            pools.append(ThreadPoolExecutor(4))
        list(pools[0].map(ask, range(4)))
        return small(index)

    run(DataLoader(Items(800, make), 8, num_workers=2), step_ms=6)


class Lines(Dataset):
    """Whole batches at once, parsed in Python."""

    def __init__(self) -> None:
        rows = [{"id": i, "text": " ".join(map(str, range(60)))} for i in range(256)]
        self.chunk = gzip.compress("\n".join(json.dumps(row) for row in rows).encode())

    def __len__(self) -> int:
        return 6400

    def __getitems__(self, indices: list[int]) -> list[torch.Tensor]:
        rows = [json.loads(line) for line in gzip.decompress(self.chunk).splitlines()]
        return [torch.tensor([len(row["text"])]) for row in rows[: len(indices)]]


def parsed_at_once() -> None:
    run(DataLoader(Lines(), 32, num_workers=1), step_ms=3)


def slower_later() -> None:
    """The second half of the data costs three times as much."""

    def make(index: int) -> torch.Tensor:
        time.sleep(0.0015 if index < 1200 else 0.0045)
        return small(index)

    run(DataLoader(Items(2400, make), 8, num_workers=2), step_ms=5)


def one_by_one() -> None:
    """Batches of one cheap item: what costs is the way to the loop."""

    def make(index: int) -> torch.Tensor:
        think(0.25)
        return small(index)

    run(DataLoader(Items(3000, make), 1, num_workers=2), step_ms=0.3)


def memory_map() -> None:
    file = Path(tempfile.gettempdir()) / "datastall-held-out.npy"
    if not file.exists():
        numpy.save(file.with_suffix(".part.npy"), numpy.ones((400, 64, 64), numpy.float32))
        file.with_suffix(".part.npy").rename(file)
    rows = numpy.load(file, mmap_mode="r")

    def make(index: int) -> torch.Tensor:
        picture = torch.from_numpy(numpy.array(rows[index % 400]))
        for _ in range(6):
            picture = torch.fft.ifft2(torch.fft.fft2(picture)).real
        return picture

    run(DataLoader(Items(6400, make), 32, num_workers=1), step_ms=4)


def started_anew() -> None:
    """Workers that are spawned, for two epochs."""
    loader = DataLoader(
        Sleepers(), 8, num_workers=2, multiprocessing_context="spawn", persistent_workers=True
    )
    run(loader, step_ms=4, epochs=2)


class Sleepers(Dataset):
    def __len__(self) -> int:
        return 960

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(0.002)
        return small(index)


class Shards(IterableDataset):
    """Eight shards of unlike length, shared out among the workers."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        info = get_worker_info()
        mine, all_of = (0, 1) if info is None else (info.id, info.num_workers)
        for shard in range(mine, 8, all_of):
            for index in range(150 + 40 * shard):
                time.sleep(0.0015)
                compute(0.5)
                yield small(index)


def shards() -> None:
    run(DataLoader(Shards(), 8, num_workers=2), step_ms=3)


def padded() -> None:
    """Sequences of any length: the collation pads, and long batches cost more everywhere."""
    lengths = [int(random.Random(i).lognormvariate(5, 0.8)) for i in range(2400)]

    def make(index: int) -> torch.Tensor:
        think(lengths[index] / 150)
        return torch.zeros(lengths[index] + 1)

    def collate(items: list[torch.Tensor]) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(items, batch_first=True)

    order = sorted(range(2400), key=lambda i: lengths[i] // 60)
    batches = BatchSampler(order, 8, False)  # type: ignore[arg-type]
    run(DataLoader(Items(2400, make), batch_sampler=batches, num_workers=1, collate_fn=collate), 4)


PROGRAMS: dict[str, Callable[[], Any]] = {
    made.__name__: made
    for made in (
        *(pool_in_item, parsed_at_once, slower_later, one_by_one, memory_map),
        *(started_anew, shards, padded),
    )
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
