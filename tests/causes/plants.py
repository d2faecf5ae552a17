# SPDX-License-Identifier: Apache-2.0
"""Programs with a planted cause, and healthy ones.

    python plants.py NAME

Each is written as somebody would write it who has that problem; the cause that is expected stands
in PLANTS. The run is under ``datastall run``; see run_plants.py.
"""

from __future__ import annotations

import fcntl
import os
import random
import sqlite3
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import torch
from common import (
    Items,
    jpegs,
    loader,
    pretend_accelerator,
    random_slow,
    run,
    slow_server,
    spin,
    temporary_files,
    tensor,
    use_cpus,
)
from torch.utils.data import Dataset, IterableDataset, Sampler

PLANTS: dict[str, tuple[str, Callable[[], None]]] = {}


def plant(cause: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def put(program: Callable[[], None]) -> Callable[[], None]:
        PLANTS[program.__name__] = (cause, program)
        return program

    return put


# ---- compute ----


@plant("compute")
def compute_decoding() -> None:
    from io import BytesIO

    from PIL import Image

    pictures = jpegs(16, 320)

    def decode(index: int) -> torch.Tensor:
        picture = Image.open(BytesIO(pictures[index % 16])).convert("RGB").resize((64, 64))
        return torch.from_numpy(numpy.asarray(picture).copy())

    run(loader(Items(1600, decode), batch_size=8, num_workers=1), 0.002)


@plant("compute")
def compute_in_the_loop() -> None:
    def make(index: int) -> torch.Tensor:
        spin(0.003)
        return tensor(index)

    run(loader(Items(800, make), num_workers=0), 0.004)


@plant("compute")
def compute_inflating() -> None:
    packed = zlib.compress(os.urandom(1 << 15) * 40, 6)

    class Stream(IterableDataset):
        def __iter__(self) -> Iterator[torch.Tensor]:
            for _ in range(700):
                data = zlib.decompress(packed)
                yield torch.tensor(numpy.frombuffer(data, numpy.uint8)[:4096].astype("f4"))

    run(loader(Stream(), batch_size=8, num_workers=1), 0.001)


@plant("compute")
def compute_python_tokeniser() -> None:
    text = " ".join(str(i * 7919 % 10007) for i in range(1200))
    vocabulary = {str(i): i for i in range(10007)}

    def make(_index: int) -> torch.Tensor:
        return torch.tensor([vocabulary.get(word[::-1][::-1], 0) for word in text.split()])

    run(loader(Items(12000, make), batch_size=16, num_workers=1))


# ---- cpu_contention ----


@plant("cpu_contention")
def contention_four_on_one() -> None:
    use_cpus(1)

    def make(index: int) -> torch.Tensor:
        spin(0.002)
        return tensor(index)

    run(loader(Items(1000, make), num_workers=4))


@plant("cpu_contention")
def contention_decoding_eight_on_two() -> None:
    from io import BytesIO

    from PIL import Image

    use_cpus(2)
    pictures = jpegs(16, 320)

    def decode(index: int) -> torch.Tensor:
        picture = Image.open(BytesIO(pictures[index % 16])).convert("RGB").resize((64, 64))
        return torch.from_numpy(numpy.asarray(picture).copy())

    run(loader(Items(3000, decode), batch_size=8, num_workers=8))


@plant("cpu_contention")
def contention_with_a_neighbour() -> None:
    use_cpus(1)
    neighbours = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            spin(60)
            os._exit(0)
        neighbours.append(pid)

    def make(index: int) -> torch.Tensor:
        return tensor(index) + float(numpy.linalg.norm(numpy.random.rand(300, 300) ** 3))

    try:
        run(loader(Items(1200, make), num_workers=1))
    finally:
        for pid in neighbours:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


@plant("cpu_contention")
def contention_three_resizing_on_one() -> None:
    from PIL import Image

    use_cpus(1)
    picture = Image.effect_noise((400, 400), 60)

    def make(_index: int) -> torch.Tensor:
        small = picture.resize((200, 200), Image.Resampling.LANCZOS)
        return torch.from_numpy(numpy.asarray(small).copy())

    run(loader(Items(2400, make), batch_size=8, num_workers=3))


# ---- blocked ----


@plant("blocked")
def blocked_sleep() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(0.005)
        return tensor(index)

    run(loader(Items(800, make)), 0.002)


@plant("blocked")
def blocked_socket() -> None:
    import socket

    port = slow_server(0.004)
    connections: dict[int, Any] = {}

    def make(index: int) -> torch.Tensor:
        connection = connections.get(os.getpid())
        if connection is None:
            connection = connections[os.getpid()] = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"?")
        got = 0
        while got < 512:
            got += len(connection.recv(512 - got))
        return tensor(index)

    run(loader(Items(800, make)), 0.001)


@plant("blocked")
def blocked_lock() -> None:
    """Every item behind one lock file, as a careless cache does."""
    path = tempfile.mktemp()

    def make(index: int) -> torch.Tensor:
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            time.sleep(0.002)
            fcntl.flock(file, fcntl.LOCK_UN)
        return tensor(index)

    run(loader(Items(600, make), num_workers=3))
    os.unlink(path)


@plant("storage")
def blocked_files_not_in_memory() -> None:
    """Reads that go to the disk: direct I/O, so that the page cache does not help."""
    folder = Path(tempfile.mkdtemp(dir="."))
    paths = temporary_files(folder, 8, 16 << 20)

    def make(index: int) -> torch.Tensor:
        import mmap

        page = mmap.mmap(-1, 1 << 20)
        file = os.open(paths[index % 8], os.O_RDONLY | os.O_DIRECT)
        try:
            for block in range(4):
                os.preadv(file, [page], ((index * 5 + block) % 16) << 20)
        finally:
            os.close(file)
        return torch.zeros(16) + page[0]

    run(loader(Items(1200, make), num_workers=1))
    for path in paths:
        path.unlink()
    folder.rmdir()


# ---- collate ----


@plant("collate")
def collate_padding_in_python() -> None:
    def make(index: int) -> list[int]:
        return list(range(200 + index % 50))

    def pad(rows: list[list[int]]) -> torch.Tensor:
        longest = max(len(row) for row in rows)
        out = torch.zeros(len(rows), longest, dtype=torch.int64)
        for i, row in enumerate(rows):
            for k, value in enumerate(row):
                if k % 4 == 0:
                    out[i, k] = value
        return out

    run(loader(Items(3200, make), batch_size=16, collate_fn=pad, num_workers=1))


@plant("collate")
def collate_many_small_tensors() -> None:
    def make(index: int) -> dict[str, torch.Tensor]:
        return {f"field{k}": torch.zeros(4) for k in range(40)}

    run(loader(Items(9600, make), batch_size=32, num_workers=0, collate_fn=slow_merge))


def slow_merge(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    merged = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    return {name: (value - value.mean(0)) / (value.std(0) + 1) for name, value in merged.items()}


@plant("collate")
def collate_that_sorts_and_sleeps() -> None:
    def collate(rows: list[torch.Tensor]) -> torch.Tensor:
        time.sleep(0.012)
        return torch.stack(rows)

    run(loader(Items(1200, tensor), batch_size=4, collate_fn=collate), 0.001)


@plant("collate")
def collate_augmenting_the_batch() -> None:
    """Augments whole batches, as mixup does, in the worker."""

    def collate(rows: list[torch.Tensor]) -> torch.Tensor:
        batch = torch.stack(rows)
        for _ in range(12):
            batch = batch * 0.9 + batch[torch.randperm(len(batch))] * 0.1
        return batch

    rows = [torch.rand(3, 128, 128) for _ in range(8)]
    run(
        loader(Items(2400, lambda i: rows[i % 8]), batch_size=16, collate_fn=collate, num_workers=1)
    )


# ---- transfer ----


@plant("transfer")
def transfer_private_64_mb() -> None:
    run(loader(Items(60, lambda i: i), batch_size=1, collate_fn=first_private, num_workers=1))


PRIVATE = None


def first_private(rows: list[Any]) -> torch.Tensor:
    """64 MB that are the worker's own, not in shared memory: copied when they are sent."""
    global PRIVATE
    if PRIVATE is None:
        PRIVATE = torch.ones(16 << 20)
    return PRIVATE.clone()


@plant("transfer")
def transfer_python_objects() -> None:
    """A million small objects: pickled in the worker, unpickled in the loop."""

    class Record:
        def __init__(self, index: int) -> None:
            self.values = [(index, k, str(k)) for k in range(40)]

    globals()["Record"] = Record
    Record.__qualname__ = "Record"
    ready = [Record(i) for i in range(2000)]

    def rows(batch: list[Any]) -> list[Any]:
        return ready

    run(loader(Items(60, lambda i: i), batch_size=1, collate_fn=rows, num_workers=2))


@plant("transfer")
def transfer_numpy_arrays() -> None:
    """Arrays are pickled into the pipe, byte by byte."""
    big = numpy.ones(8 << 20, dtype=numpy.float32)

    run(loader(Items(80, lambda i: i), batch_size=1, collate_fn=lambda rows: big, num_workers=1))


# ---- pin ----


class Pinned:
    """A batch with a pin_memory() of its own, as large nested batches have."""

    def __init__(self, rows: list[torch.Tensor]) -> None:
        self.rows = torch.stack(rows)

    def pin_memory(self) -> Pinned:
        spin(0.012)
        return self


class CopyingPinned(Pinned):
    def pin_memory(self) -> Pinned:
        for _ in range(6):
            numpy.ones(2 << 20, dtype=numpy.float32).copy()
        return self


class SleepingPinned(Pinned):
    def pin_memory(self) -> Pinned:
        time.sleep(0.015)
        return self


@plant("pin")
def pin_that_computes() -> None:
    pretend_accelerator()
    run(loader(Items(800, tensor), collate_fn=Pinned, pin_memory=True))


@plant("pin")
def pin_that_copies() -> None:
    pretend_accelerator()
    run(loader(Items(800, tensor), collate_fn=CopyingPinned, pin_memory=True, num_workers=1))


@plant("pin")
def pin_that_waits() -> None:
    pretend_accelerator()
    run(loader(Items(800, tensor), collate_fn=SleepingPinned, pin_memory=True), 0.004)


# ---- head_of_line ----


@plant("head_of_line")
def line_one_item_in_fifty() -> None:
    slow = random_slow(50)

    def make(index: int) -> torch.Tensor:
        time.sleep(0.4 if slow(index) else 0.0005)
        return tensor(index)

    run(loader(Items(500, make), batch_size=1, num_workers=4), 0.001)


@plant("head_of_line")
def line_always_the_same_worker() -> None:
    """Long items sit at a stride of the batch size times the workers."""

    def make(index: int) -> torch.Tensor:
        if index % 16 == 0:
            spin(0.030)
        return tensor(index)

    run(loader(Items(1600, make), batch_size=4, num_workers=4), 0.001)


@plant("head_of_line")
def line_retries() -> None:
    """A request that times out now and then, and is tried again."""
    slow = random_slow(120, seed=11)

    def make(index: int) -> torch.Tensor:
        time.sleep(0.0004)
        if slow(index):
            time.sleep(0.7)
        return tensor(index)

    run(loader(Items(1600, make), batch_size=4, num_workers=3), 0.001)


# ---- window ----


@plant("window")
def window_of_one() -> None:
    """Uneven batches and prefetch_factor=1: the others finish and have nothing to do."""
    slow = random_slow(6, seed=5)

    def make(index: int) -> torch.Tensor:
        time.sleep(0.060 if slow(index) else 0.006)
        return tensor(index)

    run(loader(Items(600, make), batch_size=1, num_workers=3, prefetch_factor=1), 0.008)


@plant("window")
def window_long_and_short_sentences() -> None:
    slow = random_slow(12, seed=8)

    def make(index: int) -> torch.Tensor:
        time.sleep(0.090 if slow(index) else 0.004)
        return tensor(index)

    run(loader(Items(700, make), batch_size=1, num_workers=4, prefetch_factor=2), 0.008)


@plant("window")
def window_bursts_of_a_server() -> None:
    draw = random.Random(4)
    times = [0.070 if draw.random() < 0.1 else 0.005 for _ in range(800)]

    def make(index: int) -> torch.Tensor:
        time.sleep(times[index])
        return tensor(index)

    run(loader(Items(800, make), batch_size=1, num_workers=4, prefetch_factor=1), 0.006)


# ---- sampler ----


class SlowSampler(Sampler[int]):
    def __init__(self, count: int, seconds: float, compute: bool) -> None:
        self.count = count
        self.seconds = seconds
        self.compute = compute

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        for index in range(self.count):
            if self.compute:
                spin(self.seconds)
            else:
                time.sleep(self.seconds)
            yield index


@plant("sampler")
def sampler_that_computes() -> None:
    run(loader(Items(1200, tensor), sampler=SlowSampler(1200, 0.002, True)))


@plant("sampler")
def sampler_that_asks_a_database() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("create table t (i integer, w real)")
    database.executemany("insert into t values (?, ?)", ((i, i % 97) for i in range(20000)))

    class Weighted(Sampler[int]):
        def __len__(self) -> int:
            return 800

        def __iter__(self) -> Iterator[int]:
            for k in range(800):
                row = database.execute("select i from t order by w * ? limit 1", (k,)).fetchone()
                yield row[0] % 800

    run(loader(Items(800, tensor), sampler=Weighted(), num_workers=0))


@plant("sampler")
def sampler_that_waits() -> None:
    run(loader(Items(800, tensor), sampler=SlowSampler(800, 0.003, False), num_workers=1), 0.002)


# ---- startup ----


@plant("startup")
def startup_every_epoch() -> None:
    run(loader(Items(24, tensor), num_workers=4), 0.001, epochs=25)


@plant("startup")
def startup_spawned() -> None:
    run(
        loader(Named(16), num_workers=2, multiprocessing_context="spawn"),
        0.002,
        epochs=3,
    )


class Named(Dataset):
    """Can be pickled, as spawned workers need it."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        return tensor(index)


def open_archive(worker: int) -> None:
    time.sleep(0.25)


@plant("startup")
def startup_opening_an_archive() -> None:
    run(
        loader(Items(80, tensor), num_workers=2, worker_init_fn=open_archive),
        0.002,
        epochs=10,
    )


# ---- healthy ----


@plant("none")
def healthy_tensors() -> None:
    run(loader(Items(600, tensor)), 0.030)


@plant("none")
def healthy_in_the_loop() -> None:
    run(loader(Items(800, tensor), num_workers=0), 0.012)


@plant("none")
def healthy_decoding() -> None:
    from io import BytesIO

    from PIL import Image

    pictures = jpegs(16, 128)

    def decode(index: int) -> torch.Tensor:
        picture = Image.open(BytesIO(pictures[index % 16])).convert("RGB")
        return torch.from_numpy(numpy.asarray(picture).copy())

    run(loader(Items(800, decode), batch_size=4), 0.025)


@plant("none")
def healthy_sleeping_items() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(0.002)
        return tensor(index)

    run(loader(Items(600, make), num_workers=3), 0.030)


@plant("none")
def healthy_persistent_epochs() -> None:
    run(loader(Items(160, tensor), persistent_workers=True), 0.030, epochs=4)


@plant("none")
def healthy_stream() -> None:
    class Stream(IterableDataset):
        def __iter__(self) -> Iterator[torch.Tensor]:
            for index in range(300):
                yield tensor(index)

    run(loader(Stream(), num_workers=2), 0.030)


@plant("none")
def healthy_uneven_items() -> None:
    slow = random_slow(40)

    def make(index: int) -> torch.Tensor:
        time.sleep(0.040 if slow(index) else 0.001)
        return tensor(index)

    run(loader(Items(600, make), num_workers=3, prefetch_factor=4), 0.030)


@plant("none")
def healthy_pinned() -> None:
    pretend_accelerator()
    run(loader(Items(600, tensor), collate_fn=Light, pin_memory=True), 0.030)


class Light(Pinned):
    def pin_memory(self) -> Pinned:
        return self


@plant("none")
def healthy_large_batches() -> None:
    run(loader(Items(300, lambda _i: torch.zeros(1 << 18)), batch_size=4), 0.060)


@plant("none")
def healthy_shuffled_getitems() -> None:
    class Many(Named):
        def __getitems__(self, indices: list[int]) -> list[torch.Tensor]:
            return [tensor(index) for index in indices]

    run(loader(Many(1200), batch_size=8, shuffle=True), 0.030)


@plant("none")
def healthy_one_worker() -> None:
    def make(index: int) -> torch.Tensor:
        spin(0.001)
        return tensor(index)

    run(loader(Items(600, make), num_workers=1), 0.030)


if __name__ == "__main__":
    PLANTS[sys.argv[1]][1]()
