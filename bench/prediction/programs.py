# SPDX-License-Identifier: Apache-2.0
"""Programs of known kinds, for what another setting of their loader gives: ``programs.py NAME``.

The work of an item is an amount and not a time: beside other workers it takes as long as it takes.
"""

from __future__ import annotations

import hashlib
import io
import random
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

BLOCK = bytes(range(256)) * 256  # 64 KiB


def compute(units: float) -> None:
    """About so many milliseconds of one CPU, without the interpreter's lock."""
    for _ in range(round(units * 20)):
        hashlib.sha256(BLOCK[: 1 << 15]).digest()


def think(units: float) -> int:
    """The same with the lock: Python code."""
    value = 0
    for i in range(round(units * 14000)):
        value = (value + i) & 0xFFFF
    return value


def lognormal(index: int, mean_ms: float, sigma: float) -> float:
    return mean_ms * random.Random(index).lognormvariate(-sigma * sigma / 2, sigma)


class Items(Dataset):
    def __init__(self, count: int, make: Callable[[int], Any]) -> None:
        self.count, self.make = count, make

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.make(index)


def run(loader: Any, step_ms: float = 0.0, epochs: int = 1, step_units: float = 0.0) -> None:
    for _ in range(epochs):
        for _batch in loader:
            if step_units:
                compute(step_units)
            if step_ms:
                time.sleep(step_ms / 1e3)


def small(_: int) -> torch.Tensor:
    return torch.zeros(64)


def computing() -> None:
    def make(index: int) -> torch.Tensor:
        compute(3.0)
        return small(index)

    run(DataLoader(Items(2400, make), 8, num_workers=1), step_ms=4)


def sleeping() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(lognormal(index, 3.0, 0.6) / 1e3)
        return small(index)

    run(DataLoader(Items(2400, make), 8, num_workers=2), step_ms=5)


def mixed() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(lognormal(index, 2.0, 0.5) / 1e3)
        think(1.5)
        return small(index)

    run(DataLoader(Items(2400, make), 8, num_workers=2), step_ms=3)


def heavy_collate() -> None:
    def collate(items: list[torch.Tensor]) -> torch.Tensor:
        compute(12.0)
        return torch.stack(items)

    def make(index: int) -> torch.Tensor:
        time.sleep(0.001)
        return small(index)

    run(DataLoader(Items(2400, make), 8, num_workers=1, collate_fn=collate), step_ms=3)


def large_transfer() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(0.004)
        return torch.full((3, 512, 512), float(index))

    run(DataLoader(Items(1600, make), 8, num_workers=2), step_ms=4)


def uneven() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(0.12 if random.Random(index).random() < 0.02 else 0.002)
        return small(index)

    run(DataLoader(Items(2400, make), 8, num_workers=3), step_ms=8)


def short_epochs() -> None:
    def make(index: int) -> torch.Tensor:
        think(1.0)
        return small(index)

    run(DataLoader(Items(120, make), 8, num_workers=2), step_ms=4, epochs=14)


def short_epochs_kept() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(0.002)
        think(0.5)
        return small(index)

    loader = DataLoader(Items(160, make), 8, num_workers=2, persistent_workers=True)
    run(loader, step_ms=3, epochs=16)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[torch.Tensor]:
        info = get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        for index in range(start, 2400, step):
            time.sleep(lognormal(index, 2.0, 0.4) / 1e3)
            compute(0.7)
            yield small(index)


def stream() -> None:
    run(DataLoader(Stream(), 8, num_workers=2), step_ms=3)


def busy_loop() -> None:
    def make(index: int) -> torch.Tensor:
        compute(1.2)
        return small(index)

    run(DataLoader(Items(2400, make), 8, num_workers=1), step_units=9.0)


def in_the_loop() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(0.001)
        compute(0.8)
        return small(index)

    run(DataLoader(Items(2400, make), 8), step_ms=4)


def annotations() -> None:
    """Objects that are pickled one by one."""

    def make(index: int) -> dict[str, Any]:
        time.sleep(0.002)
        return {"boxes": [[float(i), 1.0, 2.0, 3.0] for i in range(120)], "id": index}

    run(DataLoader(Items(1600, make), 8, num_workers=2, collate_fn=list), step_ms=3)


def pictures() -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise((640, 480), 60).convert("RGB").save(buffer, "JPEG", quality=85)

    def make(index: int) -> torch.Tensor:
        picture = Image.open(io.BytesIO(buffer.getvalue())).resize((96, 96))
        return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)

    run(DataLoader(Items(960, make), 8, num_workers=1), step_ms=6)


def unpacking() -> None:
    """Read from files, and unpacked."""
    packed = zlib.compress(random.Random(1).randbytes(60000) * 8, 6)

    def make(index: int) -> torch.Tensor:
        time.sleep(0.0015)
        return torch.frombuffer(bytearray(zlib.decompress(packed)), dtype=torch.uint8)[
            :4096
        ].clone()

    run(DataLoader(Items(3200, make), 16, num_workers=2, prefetch_factor=1), step_ms=5)


PROGRAMS = {
    made.__name__: made
    for made in (
        *(computing, sleeping, mixed, heavy_collate, large_transfer, uneven, short_epochs),
        *(short_epochs_kept, stream, busy_loop, in_the_loop, annotations, pictures, unpacking),
    )
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
