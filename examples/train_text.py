# SPDX-License-Identifier: Apache-2.0
"""Trains a small network to tell which of Python's own modules a passage of source text comes from.

Knows nothing of datastall. The text is that of the standard library, which every Python has. Ways
to be slow, and to be faster:

    python train_text.py                               words are looked up in collate_fn, per batch
    python train_text.py --once                        ... once, before training
    python train_text.py --once --validate-every 20    validation by workers that start each time
    python train_text.py --once --validate-every 20 --persistent    ... that stay
"""

from __future__ import annotations

import argparse
import random
import re
import sysconfig
import zlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

MODULES = 24
PASSAGE = 6000  # characters
VOCABULARY = 1 << 12
BATCH = 32
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+|[^\s\w]")

Batch = tuple[Tensor, Tensor, Tensor]


def read_modules() -> list[str]:
    """The longest modules of the standard library, as text."""
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(folder.glob("*.py"), key=lambda path: -path.stat().st_size)[:MODULES]
    return [path.read_text(encoding="utf-8", errors="replace") for path in paths]


def words_of(text: str) -> Tensor:
    """A number for each word, the same in every process."""
    return torch.tensor([zlib.crc32(word.encode()) % VOCABULARY for word in WORD.findall(text)])


class Passages(Dataset[tuple[object, int]]):
    """Item i is a passage of module i modulo their number, and that module's number."""

    def __init__(self, modules: list[str], length: int, seed: int, once: bool) -> None:
        chance = random.Random(seed)
        self.items: list[tuple[object, int]] = []
        for index in range(length):
            text = modules[index % len(modules)]
            begin = chance.randrange(max(1, len(text) - PASSAGE))
            passage = text[begin : begin + PASSAGE]
            self.items.append((words_of(passage) if once else passage, index % len(modules)))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[object, int]:
        return self.items[index]


def collate(rows: list[tuple[object, int]]) -> Batch:
    """Where each passage begins, the words of all behind each other, and the labels."""
    words = [row if isinstance(row, Tensor) else words_of(str(row)) for row, _ in rows]
    lengths = torch.tensor([0, *map(len, words[:-1])])
    return lengths.cumsum(0), torch.cat(words), torch.tensor([label for _, label in rows])


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(VOCABULARY, 128)
        self.layers = nn.Sequential(nn.Linear(128, 512), nn.ReLU(), nn.Linear(512, MODULES))

    def forward(self, begins: Tensor, words: Tensor) -> Tensor:
        return self.layers(self.bag(words, begins))


def share_right(network: Network, loader: DataLoader[Batch]) -> float:
    right = total = 0
    with torch.no_grad():
        for begins, words, labels in loader:
            right += int((network(begins, words).argmax(1) == labels).sum())
            total += len(labels)
    return right / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--once", action="store_true", help="look words up before training")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--passages", type=int, default=4800, help="per epoch")
    parser.add_argument("--validate-every", type=int, default=0, help="steps; 0: never")
    parser.add_argument("--persistent", action="store_true", help="validation's workers stay")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)  # leaves a core to the workers
    modules = read_modules()
    train = DataLoader(
        Passages(modules, arguments.passages, 1, arguments.once),
        batch_size=BATCH,
        shuffle=True,
        num_workers=arguments.workers,
        persistent_workers=arguments.workers > 0,
        collate_fn=collate,
    )
    validation = DataLoader(
        Passages(modules, 256, 2, arguments.once),
        batch_size=BATCH,
        num_workers=2,
        persistent_workers=arguments.persistent,
        collate_fn=collate,
    )
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    step = 0
    for epoch in range(arguments.epochs):
        total = 0.0
        for begins, words, labels in train:
            loss = nn.functional.cross_entropy(network(begins, words), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(labels)
            step += 1
            if arguments.validate_every and step % arguments.validate_every == 0:
                share_right(network, validation)
        print(f"epoch {epoch + 1}: loss {total / arguments.passages:.3f}")
    print(f"{share_right(network, validation):.0%} of new passages placed ({MODULES} modules)")


if __name__ == "__main__":
    main()
