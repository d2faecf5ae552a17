# SPDX-License-Identifier: Apache-2.0
"""Programs of kinds that none of the others has, written when intervals began to span how CPUs are
shared, and the model was fixed: ``held_out3.py NAME``."""

from __future__ import annotations

import random
import sqlite3
import struct
import sys
import tempfile
import threading
import time
import wave
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from programs import Items, compute, lognormal, run, small, think
from torch.utils.data import ConcatDataset, DataLoader, Dataset


class Rows(Dataset):
    """Rows of a database file, each asked for by its key; every worker opens it for itself."""

    def __init__(self, path: str) -> None:
        self.path, self.opened = path, None
        with sqlite3.connect(path) as database:
            database.execute("create table rows (key integer primary key, data blob)")
            made = ((key, random.Random(key).randbytes(8192)) for key in range(3000))
            database.executemany("insert into rows values (?, ?)", made)

    def __len__(self) -> int:
        return 9600

    def __getitem__(self, index: int) -> torch.Tensor:
        if self.opened is None:
            self.opened = sqlite3.connect(self.path)
        wanted = (index * 7919 % 3000,)
        (data,) = self.opened.execute("select data from rows where key = ?", wanted).fetchone()
        values = [sum(data[at : at + 256]) for at in range(0, len(data), 256)]
        return torch.tensor(values)


def database() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(DataLoader(Rows(f"{folder}/rows.db"), 32, num_workers=1, shuffle=True), step_ms=4)


def sound() -> None:
    """Pieces of sound files: read, resampled and turned into spectra, in the loop's own process."""
    window = torch.hann_window(512)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(16):
            with wave.open(f"{folder}/{number}.wav", "wb") as file:
                file.setparams((1, 2, 16000, 0, "NONE", ""))
                noise = random.Random(number).choices(range(-9000, 9000), k=32000)
                file.writeframes(struct.pack("<32000h", *noise))

        def make(index: int) -> torch.Tensor:
            with wave.open(f"{folder}/{index % 16}.wav", "rb") as file:
                file.setpos(index * 37 % 16000)
                data = numpy.frombuffer(file.readframes(16000), numpy.int16)
            sound = torch.from_numpy(data.astype(numpy.float32))[None, None]
            lower = torch.nn.functional.interpolate(sound, scale_factor=0.5)[0, 0]
            return torch.stft(lower, 512, 128, window=window, return_complex=True).abs().log1p()

        run(DataLoader(Items(1600, make), 8), step_ms=5)


def seldom_dear() -> None:
    """One batch in twelve of the loop's takes ten times as long: a checkpoint, or pictures."""

    def make(index: int) -> torch.Tensor:
        time.sleep(0.001)
        compute(0.6)
        return small(index)

    loader = DataLoader(Items(2400, make), 8, num_workers=1, prefetch_factor=4)
    for number, _batch in enumerate(loader):
        time.sleep(0.06 if number % 12 == 11 else 0.005)


def two_sets() -> None:
    """Two data sets one behind the other, shuffled: one is read fast and computed on for long, the
    other is waited for."""

    def drawn(_: int) -> torch.Tensor:
        compute(2.2)
        return small(0)

    def fetched(index: int) -> torch.Tensor:
        time.sleep(lognormal(index, 4.0, 0.4) / 1e3)
        return small(index)

    both = ConcatDataset([Items(800, drawn), Items(800, fetched)])
    run(DataLoader(both, 8, num_workers=2, shuffle=True), step_ms=4)


def read_ahead() -> None:
    """A thread of each worker fetches the items after the one that is asked for."""
    ahead: dict[int, deque[int]] = {}
    wake: dict[int, threading.Condition] = {}

    def fetch(worker: int) -> None:
        for number in range(100_000):
            time.sleep(0.002)
            with wake[worker]:
                wake[worker].wait_for(lambda: len(ahead[worker]) < 8)
                ahead[worker].append(number)
                wake[worker].notify_all()

    def make(_: int) -> torch.Tensor:
        worker = threading.get_native_id()
        if worker not in ahead:
            ahead[worker], wake[worker] = deque(), threading.Condition()
            threading.Thread(target=fetch, args=(worker,), daemon=True).start()
        with wake[worker]:
            wake[worker].wait_for(lambda: ahead[worker])
            number = ahead[worker].popleft()
            wake[worker].notify_all()
        return small(think(0.6) + number)

    run(DataLoader(Items(1600, make), 8, num_workers=2), step_ms=5)


def graphs() -> None:
    """Graphs of any size, which the collation puts together into one: dictionaries of tensors."""
    sizes = [2 + int(random.Random(i).expovariate(1 / 60)) for i in range(2400)]

    def make(index: int) -> dict[str, torch.Tensor]:
        size = sizes[index]
        compute(0.2 + size / 150)
        return {"nodes": torch.ones(size, 64), "edges": torch.randint(size, (2, 4 * size))}

    def collate(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        before = numpy.cumsum([0, *(len(item["nodes"]) for item in items)])
        edges = [item["edges"] + int(n) for item, n in zip(items, before, strict=False)]
        nodes = torch.cat([item["nodes"] for item in items])
        order = torch.argsort(torch.cat(edges, 1)[0])
        return {"nodes": nodes, "edges": torch.cat(edges, 1)[:, order]}

    loader = DataLoader(Items(2400, make), 16, num_workers=1, collate_fn=collate)
    run(loader, step_ms=6, epochs=2)


def packed_files() -> None:
    """Files of one folder, opened and unpacked one by one, and the loop has work of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(200):
            data = random.Random(number).randbytes(8000) * 12
            Path(folder, f"{number}.z").write_bytes(zlib.compress(data, 4))

        def make(index: int) -> torch.Tensor:
            data = zlib.decompress(Path(folder, f"{index % 200}.z").read_bytes())
            return torch.frombuffer(bytearray(data), dtype=torch.uint8)[: 96 * 512].clone()

        run(DataLoader(Items(9600, make), 32, num_workers=1), step_ms=2, step_units=3.0)


PROGRAMS: dict[str, Callable[[], Any]] = {
    made.__name__: made
    for made in (database, sound, seldom_dear, two_sets, read_ahead, graphs, packed_files)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
