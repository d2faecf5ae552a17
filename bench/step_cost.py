# SPDX-License-Identifier: Apache-2.0
"""What following the phases of a step adds on the host, at the places that torch passes.

A step is a next(), an entry of torch's autograd engine and the two hooks around an optimizer, each
around nothing. Two kinds take turns step by step: as without datastall, and with; hot, and with 32
MB of other memory written before each place, as the caches are after a forward. Medians.

    python bench/step_cost.py [STEPS [MEGABYTES]]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.pop("DATASTALL_RUN_DIR", None)
os.environ["DATASTALL_DIR"] = tempfile.mkdtemp()

import datastall
import numpy as np
import torch
from datastall import _core, _steps

BATCH = (torch.zeros(32, 3, 8, 8), torch.zeros(32, dtype=torch.int64))


def endless() -> Iterator[Any]:
    while True:
        yield BATCH


def nothing(*args: Any) -> None:
    pass


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    bare = endless()
    hooked = iter(datastall.watch(endless()))
    _steps.patch()
    around = _core.TimedBackward(nothing)
    begins, ends = _core.OptimizerBegins(nothing), _core.OptimizerEnds(nothing)
    kinds: dict[str, dict[str, Callable[[], Any]]] = {
        "without": {
            "next()": lambda: next(bare),
            "backward": lambda: nothing(),
            "optimizer": lambda: nothing(None, None, None) or nothing(None, None, None),
        },
        "with": {
            "next()": lambda: next(hooked),
            "backward": lambda: around(),
            "optimizer": lambda: begins(None, None, None) or ends(None, None, None),
        },
    }
    print(f"{'caches':<7} {'next() us':>10} {'backward us':>12} {'optimizer us':>13} {'all us':>7}")
    for caches, size in (("hot", 0), ("cold", megabytes)):
        other = np.zeros(size << 17 if size else 1)
        steps = count if size == 0 else min(count, 300)
        took: dict[tuple[str, str], list[float]] = {}
        for _ in range(steps):
            for kind, places in kinds.items():
                for place, call in places.items():
                    other += 1.0
                    begin = time.perf_counter()
                    call()
                    took.setdefault((kind, place), []).append(time.perf_counter() - begin)
        added = {
            place: (
                statistics.median(took["with", place]) - statistics.median(took["without", place])
            )
            * 1e6
            for place in kinds["with"]
        }
        print(
            f"{caches:<7} {added['next()']:10.2f} {added['backward']:12.2f}"
            f" {added['optimizer']:13.2f} {sum(added.values()):7.2f}"
        )


if __name__ == "__main__":
    main()
