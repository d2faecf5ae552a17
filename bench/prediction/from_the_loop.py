# SPDX-License-Identifier: Apache-2.0
"""Programs that load in the loop, whose batches are large or cheap: ``from_the_loop.py NAME``.

What a worker makes is copied into shared memory. These say by how much a prediction of workers
from a run without any is off.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from programs import Items, run
from torch.utils.data import DataLoader

SETTINGS = [(1, 2), (2, 2), (4, 2)]


def copies_of_rows() -> None:
    """Items are copies out of an array in memory; 25 MB a batch."""
    rows = numpy.random.default_rng(0).integers(0, 255, (400, 196608), dtype=numpy.uint8)

    def make(index: int) -> torch.Tensor:
        return torch.from_numpy(rows[index % 400].astype(numpy.float32))

    run(DataLoader(Items(3200, make), 32), step_ms=10)


def normalised() -> None:
    """Bytes made floats, normalised and flipped; 19 MB a batch."""
    pictures = torch.randint(0, 255, (300, 3, 224, 224), dtype=torch.uint8)
    mean = torch.rand(3, 1, 1) + 0.5

    def make(index: int) -> torch.Tensor:
        return ((pictures[index % 300].float() / 255 - mean) / mean).flip(2)

    run(DataLoader(Items(2400, make), 32), step_ms=10)


def mapped_clips() -> None:
    """Parts of a file that is mapped into memory, copied; 9 MB a batch, two epochs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clips.npy")
        shape = (300, 16, 96, 96)
        numpy.lib.format.open_memmap(path, "w+", numpy.float32, shape)[:] = 1.5
        clips = numpy.load(path, mmap_mode="r")

        def make(index: int) -> torch.Tensor:
            clip = numpy.array(clips[index % 300])
            return torch.from_numpy(clip - clip.mean())

        run(DataLoader(Items(1500, make), 16), step_ms=8, epochs=2)


def spectra() -> None:
    """Spectra of ten seconds of sound: much computing, 20 MB a batch."""
    sounds = numpy.random.default_rng(1).normal(size=(60, 160000)).astype(numpy.float32)
    window = torch.hann_window(1024)

    def make(index: int) -> torch.Tensor:
        sound = torch.from_numpy(sounds[index % 60])
        return torch.stft(sound, 1024, 256, window=window, return_complex=True).abs().log1p()

    run(DataLoader(Items(800, make), 16), step_ms=20)


def lists_made_tensors() -> None:
    """The collation computes: lists of numbers become tensors of 150 KB."""

    def make(index: int) -> dict[str, list[int]]:
        return {"ids": [number * index % 997 for number in range(300)], "mask": [1] * 300}

    def collate(items: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        return {name: torch.tensor([item[name] for item in items]) for name in items[0]}

    run(DataLoader(Items(3000, make), 32, collate_fn=collate), step_ms=4)


def ragged_sequences() -> None:
    """Sequences of 20 to 400 numbers, padded: small batches, cheap items."""

    def make(index: int) -> torch.Tensor:
        length = 20 + index * 7919 % 380
        return torch.tensor([index * number % 3000 for number in range(length)])

    def collate(items: list[torch.Tensor]) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(items, batch_first=True)

    run(DataLoader(Items(4000, make), 64, collate_fn=collate), step_ms=6)


PROGRAMS: dict[str, Callable[[], Any]] = {
    made.__name__: made
    for made in (
        copies_of_rows,
        normalised,
        mapped_clips,
        spectra,
        lists_made_tensors,
        ragged_sequences,
    )
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
