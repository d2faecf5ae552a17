# SPDX-License-Identifier: Apache-2.0
"""What the planted programs share: work of a known kind, and a loop that consumes it."""

from __future__ import annotations

import io
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

SHAPE = (3, 16, 16)


def spin(seconds: float) -> None:
    """Computes for so much CPU time of this thread."""
    end = time.thread_time() + seconds
    value = 1.0
    while time.thread_time() < end:
        for _ in range(200):
            value = value * 1.0000001 + 0.1


def step(seconds: float) -> None:
    """What the loop does with a batch; a GPU that works needs no CPU."""
    if seconds > 0:
        time.sleep(seconds)


class Items(Dataset):
    """Items made by a function of their index."""

    def __init__(self, count: int, make: Callable[[int], Any]) -> None:
        self.count = count
        self.make = make

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.make(index)


def tensor(_: int) -> torch.Tensor:
    return torch.zeros(SHAPE)


def run(loader: Iterable[Any], seconds: float = 0.0, epochs: int = 1) -> None:
    for _ in range(epochs):
        for _batch in loader:
            step(seconds)


def loader(items: Dataset, **options: Any) -> DataLoader:
    options.setdefault("batch_size", 4)
    options.setdefault("num_workers", 2)
    return DataLoader(items, **options)


def jpegs(count: int, size: int) -> list[bytes]:
    """Encoded pictures of noise, which take long to decode."""
    import numpy
    from PIL import Image

    noise = numpy.random.default_rng(7)
    out = []
    for _ in range(count):
        picture = Image.fromarray(noise.integers(0, 255, (size, size, 3), dtype=numpy.uint8))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=90)
        out.append(buffer.getvalue())
    return out


def slow_server(seconds: float) -> int:
    """A server that answers each byte after a while; returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            while connection.recv(1):
                time.sleep(seconds)
                connection.sendall(b"x" * 512)

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def use_cpus(count: int) -> None:
    """Only so many CPUs for this program and its workers."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def random_slow(every: int, seed: int = 3) -> Callable[[int], bool]:
    """One in so many, at places that are the same in every process."""
    chosen = random.Random(seed)
    slow = {i for i in range(100_000) if chosen.random() < 1 / every}
    return lambda index: index in slow


def pretend_accelerator() -> None:
    """Lets torch start its pin thread without a GPU; batches bring their own pin_memory()."""
    torch.accelerator.is_available = lambda: True  # type: ignore[assignment]
    torch.accelerator.current_accelerator = lambda *_a, **_k: torch.device("cpu")  # type: ignore
    torch.accelerator.current_device_index = lambda: 0  # type: ignore[assignment]
    torch.accelerator.set_device_index = lambda _index: None  # type: ignore[assignment]


def temporary_files(folder: Path, count: int, size: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i in range(count):
        path = folder / f"{i}.bin"
        path.write_bytes(os.urandom(size))
        paths.append(path)
    return paths
