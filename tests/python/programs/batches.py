# SPDX-License-Identifier: Apache-2.0
"""Batches of every shape, each through a loader with the shape's name.

Prints what each is truly made of: samples, tokens, padded positions, longest sequence. Some lines,
one per process.
"""

import json
import os
from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass

import datastall
import numpy as np
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


@dataclass
class Fields:
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor


@dataclass(slots=True)
class Slots:
    attention_mask: torch.Tensor


class Shaped:
    """What shape says would be the program's code."""

    shape = (4, 3)
    num_graphs = 4

    def __len__(self) -> int:
        return 4


class Popping(dict):
    """Hands out what it holds once."""

    def __getitem__(self, key):
        return self.pop(key)


class Graphs:
    """As torch_geometric's Batch: attributes live in a store of its own."""

    def __init__(self, count: int, place: str) -> None:
        self.__dict__[place] = Record(_num_graphs=count, _mapping={"x": 1})

    def __getattr__(self, name: str):
        raise AssertionError(name)


class Image(torch.Tensor):
    """As torchvision's and fastai's: sees every function that is called on it."""

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), keywords=None):
        raise AssertionError(function)


class Dispatched(torch.Tensor):
    """Its very shape may come from Python."""

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), keywords=None):
        raise AssertionError(function)


def shortened(tensor: torch.Tensor, elements: int) -> torch.Tensor:
    """Its shape reaches past its storage from now on."""
    tensor.untyped_storage().resize_(elements * tensor.element_size())
    return tensor


def behind(tensor: torch.Tensor) -> torch.Tensor:
    """The same in the middle of a larger storage."""
    larger = torch.full((3 * tensor.numel(),), 7, dtype=tensor.dtype)
    middle = larger[tensor.numel() : 2 * tensor.numel()].view(tensor.shape)
    return middle.copy_(tensor)


def unaligned(tensor: torch.Tensor) -> torch.Tensor:
    data = bytearray(b"\0" + tensor.numpy().tobytes())
    return torch.frombuffer(data, dtype=tensor.dtype, offset=1).view(tensor.shape)


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


def with_mask(change) -> list[dict]:
    return [{**batch, "attention_mask": change(batch["attention_mask"])} for batch in plain_masks]


plain_masks = masked(9, 6, 40)
nodes_and_edges = {"x": torch.zeros(50, 4), "edge_index": torch.zeros(2, 90)}
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
    "arrays": ([np.zeros((4, 3))] * 3, samples(12)),
    "a kind of array": ([np.zeros((4, 3)).view(np.matrix)] * 3, samples(12)),
    "scalar arrays": ([np.array(1.0)] * 3, samples(None)),
    "masks in arrays": (
        [{"attention_mask": np.ones((5, 7))}] * 2,
        {**samples(10), "tokens": None},
    ),
    "no rows": ([torch.zeros(0, 3)] * 2, samples(0)),
    "a kind of tensor": ([torch.zeros(5, 2).as_subclass(Image)] * 2, samples(10)),
    "dispatched": ([torch.zeros(5, 2).as_subclass(Dispatched)] * 2, samples(None)),
    "dataclass": ([Fields(**batch) for batch in plain_masks], truth_of_masks(plain_masks)),
    "slots": ([Slots(torch.ones(3, 4))] * 2, samples(None)),
    "shaped": ([Shaped()] * 2, samples(None)),
    "default dict": ([defaultdict(list, x=torch.zeros(3, 2))] * 2, samples(6)),
    "popping": ([Popping(batch) for batch in plain_masks], truth_of_masks(plain_masks)),
    "graphs": ([Graphs(4, "_store"), Graphs(3, "_global_store")], samples(7)),
    "parts of graphs": (
        [{**nodes_and_edges, "ptr": torch.tensor([0, 9, 18, 30, 41, 50])}] * 2,
        samples(10),
    ),
    "nodes and edges": ([nodes_and_edges] * 2, samples(None)),
    "dict of graphs": ([{"left": Graphs(4, "_store"), "x": torch.zeros(50, 4)}] * 2, samples(8)),
    "behind": (with_mask(behind), truth_of_masks(plain_masks)),
    "lazily copied": (with_mask(torch._lazy_clone), truth_of_masks(plain_masks)),
    "unaligned": (with_mask(unaligned), samples(54)),
    "shortened": (with_mask(lambda mask: shortened(mask.clone(), 239)), samples(54)),
    "emptied": (with_mask(lambda mask: shortened(mask.clone(), 0)), samples(54)),
    "not shortened": (
        with_mask(lambda mask: shortened(mask.clone(), 240)),
        truth_of_masks(plain_masks),
    ),
    "moved past the end": (
        with_mask(lambda mask: shortened(behind(mask), 479)),
        samples(54),
    ),
    "minus zero": (
        with_mask(lambda mask: torch.where(mask == 0, -0.0, 0.5).to(torch.float16)),
        truth_of_masks(plain_masks),
    ),
    "large values": (with_mask(lambda mask: mask << 40), truth_of_masks(plain_masks)),
    "complex": (with_mask(lambda mask: mask.to(torch.complex64)), samples(54)),
    "sparse": (with_mask(lambda mask: mask.to_sparse()), samples(54)),
    "bounds of floats": (
        [{"cu_seqlens": torch.tensor([0.0, 5.0, 9.0])}],
        samples(2),
    ),
    "falling bounds": ([{"cu_seqlens": torch.tensor([0, 9, 5])}], samples(2)),
    "short bounds": (
        [{"cu_seqlens": shortened(torch.tensor([0, 5, 9]), 2)}],
        samples(2),
    ),
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


def run(names: list[str]) -> dict:
    truth = {}
    for name in names:
        batches, expected = CASES[name]
        loader = DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)
        handed = list(datastall.watch(loader, name=name))
        assert all(one is other for one, other in zip(handed, batches, strict=True)), name
        truth[name] = expected
    if "lazily copied" in names:
        for batch in CASES["lazily copied"][0]:
            assert torch._C._is_cow_tensor(batch["attention_mask"]), "made real by a look"
    return truth


if __name__ == "__main__":
    # A process tells 32 loaders apart.
    for first in range(0, len(CASES), 30):
        child = os.fork()
        if child == 0:
            print(json.dumps(run(list(CASES)[first : first + 30])))
            break
        assert os.waitpid(child, 0)[1] == 0
