"""Batches of every shape, each through a loader with the shape's name.

Prints what each is truly made of: samples, tokens, padded positions, longest sequence.
"""

import json
from collections import OrderedDict, UserDict, namedtuple

import datastall
import torch
from torch.utils.data import DataLoader

Pair = namedtuple("Pair", ["image", "label"])


class Encoding(UserDict):
    """As transformers' BatchEncoding: a mapping with attributes, no dict."""

    def __getattr__(self, name: str):
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(name) from None


class Record:
    """Fields as attributes."""

    def __init__(self, **fields) -> None:
        self.__dict__.update(fields)


generator = torch.Generator().manual_seed(11)


def masks(rows: int, columns: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    lengths = torch.randint(1, columns + 1, (rows, 1), generator=generator)
    return (torch.arange(columns) < lengths).to(dtype)


def masked(count: int, rows: int, columns: int, dtype: torch.dtype = torch.int64) -> list[dict]:
    return [
        {
            "labels": torch.zeros(rows + 3),  # of another length: the mask decides
            "input_ids": torch.ones(rows, columns, dtype=torch.int64),
            "attention_mask": masks(rows, columns, dtype),
        }
        for _ in range(count)
    ]


def packed(lengths: list[int], positions: int) -> dict:
    bounds = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    return {"input_ids": torch.zeros(1, positions, dtype=torch.int64), "cu_seqlens": bounds}


def truth_of_masks(batches: list) -> dict:
    tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
    return {
        "samples": sum(len(batch["attention_mask"]) for batch in batches),
        "tokens": tokens,
        "efficiency": tokens / sum(batch["attention_mask"].numel() for batch in batches),
        "longest": max(int(batch["attention_mask"].sum(1).max()) for batch in batches),
    }


def samples(count: int) -> dict:
    return {"samples": count, "tokens": None, "efficiency": None, "longest": None}


plain_masks = masked(9, 6, 40)
CASES: dict[str, tuple[list, dict]] = {
    "tensor": ([torch.zeros(4, 3), torch.zeros(2, 3)], samples(6)),
    "scalar tensors": ([torch.tensor(1.0)] * 3, samples(None)),
    "tuple": ([(torch.zeros(4, 3), torch.zeros(4))] * 3, samples(12)),
    "list": ([[torch.zeros(5, 3), torch.zeros(5)]] * 3, samples(15)),
    "named tuple": ([Pair(torch.zeros(7, 2, 2), torch.zeros(7))] * 2, samples(14)),
    "list of strings": ([["one", "two", "three"]] * 2, samples(6)),
    "strings and labels": ([(["one", "two", "three"], torch.zeros(3))] * 2, samples(6)),
    "detection": ([((torch.zeros(3, 8, 8),) * 2, ({"boxes": 1},) * 2)] * 3, None),
    # Samples that nobody collated: their number, not the length of the first.
    "uncollated": ([[{"input_ids": torch.zeros(10)} for _ in range(4)]] * 3, None),
    "uncollated masks": ([[{"attention_mask": torch.ones(10)} for _ in range(4)]] * 3, None),
    "dict of tensors": ([{"x": torch.zeros(8, 2), "y": torch.zeros(8)}] * 2, samples(16)),
    "nested dict": (
        [{"meta": {"source": "disk"}, "inner": {"a": 1}, "x": torch.zeros(3, 2)}] * 2,
        samples(6),
    ),
    "ordered dict": ([OrderedDict(x=torch.zeros(3, 2))] * 2, samples(6)),
    "masks": (plain_masks, truth_of_masks(plain_masks)),
    "masks and labels": (
        [(batch, torch.zeros(6)) for batch in plain_masks],
        truth_of_masks(plain_masks),
    ),
    # As default_collate makes it of (dict, label) samples.
    "masks and labels in a list": (
        [[batch, torch.zeros(6)] for batch in plain_masks],
        truth_of_masks(plain_masks),
    ),
    "encoding": ([Encoding(batch) for batch in plain_masks], truth_of_masks(plain_masks)),
    "attributes": ([Record(**batch) for batch in plain_masks], truth_of_masks(plain_masks)),
    "packed": (
        [packed([5, 9, 2], 16), packed([7, 4], 16)],
        {"samples": 5, "tokens": 27, "efficiency": 27 / 32, "longest": 9},
    ),
    "only ids": (
        [{"input_ids": torch.zeros(4, 10, dtype=torch.int64)}] * 2,
        {"samples": 8, "tokens": 80, "efficiency": None, "longest": None},
    ),
    "bytes": ([b"abc", b"de"], samples(None)),
    "nothing": ([None, object()], samples(None)),
}
for dtype in (torch.bool, torch.uint8, torch.int16, torch.int32, torch.float32, torch.float64):
    batches = masked(5, 4, 30, dtype)
    CASES[f"masks of {dtype}"] = (batches, truth_of_masks(batches))
# A mask that is a view in another order of memory: the shape is known, the values are left alone.
turned = [{"attention_mask": masks(30, 4).t()} for _ in range(3)]
CASES["turned masks"] = (turned, samples(12))
# 128 KiB each: every second one is read.
large = masked(60, 32, 512)
CASES["large masks"] = (large, truth_of_masks(large))


def run_all() -> dict:
    truth = {}
    for name, (batches, expected) in CASES.items():
        loader = DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)
        handed = list(datastall.watch(loader, name=name))
        assert all(one is other for one, other in zip(handed, batches, strict=True)), name
        truth[name] = expected
    return truth


if __name__ == "__main__":
    print(json.dumps(run_all()))
