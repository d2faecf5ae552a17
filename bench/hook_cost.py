# SPDX-License-Identifier: Apache-2.0
"""What the hook adds to one next() of a DataLoader, against the bare loop, in one process.

Two iterators hand out the same ready batch: one with torch's own __next__, one with datastall's
around it. They take turns; each figure is the median over the rounds.

    python bench/hook_cost.py [rounds]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from typing import Any

os.environ.pop("DATASTALL_RUN_DIR", None)
os.environ["DATASTALL_DIR"] = tempfile.mkdtemp()

import torch
from datastall import _core, _hooks
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import dataloader as torch_dataloader

PER_ROUND = 2000
_core.set_tensor_type(torch.Tensor)
plain_next = torch_dataloader._BaseDataLoaderIter.__next__


def make_iterators(batch: Any) -> tuple[Any, Any]:
    """(bare, hooked): iterators of the real base class whose _next_data() returns `batch`."""

    class Bare(torch_dataloader._BaseDataLoaderIter):
        def _next_data(self) -> Any:
            return batch

    class Hooked(Bare):
        __next__ = _core.TimedNext(plain_next, lambda iterator: None)

    loader = DataLoader(TensorDataset(torch.zeros(1)))
    bare, hooked = Bare(loader), Hooked(loader)
    recording = _hooks.monitor()
    assert recording is not None
    _core.remember(hooked, _core.Consumer(recording.loader(name="bench", source=3)))
    return bare, hooked


def one_round(iterator: Any) -> float:
    begin = time.perf_counter()
    for _ in range(PER_ROUND):
        next(iterator)
    return (time.perf_counter() - begin) / PER_ROUND * 1e6


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    mask = torch.zeros(32, 128, dtype=torch.int64)
    for row in range(32):
        mask[row, : 40 + 2 * row] = 1
    batches = {
        "tensor": torch.zeros(32, 3, 8, 8),
        "tuple": (torch.zeros(32, 3, 8, 8), torch.zeros(32, dtype=torch.int64)),
        "list": [torch.zeros(32, 3, 8, 8), torch.zeros(32, dtype=torch.int64)],
        "dict, mask 32x128": {"input_ids": torch.zeros_like(mask), "attention_mask": mask},
    }
    print(f"{'batch':<20} {'bare us':>9} {'hooked us':>10} {'added us':>9} {'ratio':>7}")
    for name, batch in batches.items():
        bare, hooked = make_iterators(batch)
        one_round(bare), one_round(hooked)
        pairs = [(one_round(bare), one_round(hooked)) for _ in range(rounds)]
        alone = statistics.median(pair[0] for pair in pairs)
        added = statistics.median(pair[1] - pair[0] for pair in pairs)
        ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
        print(f"{name:<20} {alone:9.2f} {alone + added:10.2f} {added:9.2f} {ratio:7.3f}")


if __name__ == "__main__":
    main()
