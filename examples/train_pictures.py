# SPDX-License-Identifier: Apache-2.0
"""Trains a small network to tell which photograph a crop comes from.

Knows nothing of datastall. The pictures are those that the package scikit-image ships (photographs,
micrographs, a page of text; PNG and JPEG). Two ways to feed it:

    python train_pictures.py                       decode a whole picture for every crop
    python train_pictures.py --cache --workers 1   decode each once, cut the crops from memory
"""

from __future__ import annotations

import argparse
import importlib.util
import random
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

CROP = 96
BATCH = 16


def find_pictures() -> list[Path]:
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SystemExit("the pictures are missing: pip install --no-deps scikit-image")
    folder = Path(spec.origin).parent / "data"
    paths = []
    for path in sorted([*folder.glob("*.png"), *folder.glob("*.jpg")]):
        with Image.open(path) as picture:
            if min(picture.size) >= 2 * CROP:
                paths.append(path)
    return paths


def decode(path: Path) -> numpy.ndarray:
    with Image.open(path) as picture:
        return numpy.asarray(picture.convert("RGB"))


class Crops(Dataset[tuple[torch.Tensor, int]]):
    """Item i is a random crop of picture i modulo their number, and that picture's number."""

    def __init__(self, paths: list[Path], length: int, cache: bool) -> None:
        self.paths = paths
        self.length = length
        self.decoded = [decode(path) for path in paths] if cache else None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        label = index % len(self.paths)
        picture = self.decoded[label] if self.decoded else decode(self.paths[label])
        chance = random.Random(index)
        top = chance.randrange(picture.shape[0] - CROP)
        left = chance.randrange(picture.shape[1] - CROP)
        crop = picture[top : top + CROP, left : left + CROP]
        return torch.from_numpy(crop.copy()).permute(2, 0, 1).float().div_(255), label


def make_network(classes: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, classes)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", action="store_true", help="decode each picture once")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--crops", type=int, default=640, help="per epoch")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)  # leaves a core to the workers
    paths = find_pictures()
    train = DataLoader(
        Crops(paths, arguments.crops, arguments.cache),
        batch_size=BATCH,
        shuffle=True,
        num_workers=arguments.workers,
        persistent_workers=arguments.workers > 0,
    )
    network = make_network(len(paths))
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for epoch in range(arguments.epochs):
        total = right = 0.0
        for crops, labels in train:
            scores = network(crops)
            loss = nn.functional.cross_entropy(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(labels)
            right += float((scores.argmax(1) == labels).sum())
        print(
            f"epoch {epoch + 1}: loss {total / arguments.crops:.3f}, "
            f"{right / arguments.crops:.0%} of crops placed ({len(paths)} pictures)"
        )


if __name__ == "__main__":
    main()
