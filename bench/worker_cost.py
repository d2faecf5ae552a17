# SPDX-License-Identifier: Apache-2.0
"""What recording costs where batches are made.

Part 1: one fetch() in this process, bare against recorded, in turns: per batch and per item, in
CPU time of the thread, so that other programs on the machine do not count.
Part 2: batches of 64 items that compute for 10 us each, bare against recorded, one of each in turns
and in CPU time of the thread: what is added to the making (fetch() as in a worker, driven by a
recorded loop in this process), and to a loop that makes them itself, its waits with it. The median
of the pairs, with an interval that holds it 95 times of 100.
Part 3: throughput of a whole DataLoader with against without, in processes of their own, in turns:
wall time, which needs a quiet machine.

    python bench/worker_cost.py [rounds]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

PER_ROUND = 400
DATASTALL = str(Path(sys.executable).parent / "datastall")

LOOP = """
import sys, time
import torch
from torch.utils.data import DataLoader, Dataset

seconds, count, batch, workers = float(sys.argv[1]), *map(int, sys.argv[2:5])

class Items(Dataset):
    def __len__(self):
        return count
    def __getitem__(self, index):
        time.sleep(seconds)
        return index

loader = DataLoader(Items(), batch_size=batch, num_workers=workers, collate_fn=len)
iterator = iter(loader)
next(iterator)
begin = time.perf_counter()
for _ in iterator:
    pass
print(time.perf_counter() - begin)
"""


def install() -> tuple[Callable, Callable]:
    """torch's own fetch() and __next__(), from before."""
    os.environ.pop("DATASTALL_RUN_DIR", None)
    os.environ["DATASTALL_DIR"] = tempfile.mkdtemp()
    import datastall
    from torch.utils.data._utils.fetch import _MapDatasetFetcher as Fetcher
    from torch.utils.data.dataloader import _BaseDataLoaderIter as Iterator

    bare_fetch, bare_next = Fetcher.fetch, Iterator.__next__
    datastall.install()
    assert Fetcher.fetch is not bare_fetch and Iterator.__next__ is not bare_next
    return bare_fetch, bare_next


def per_fetch(rounds: int, bare_fetch: Callable) -> None:
    from torch.utils.data import DataLoader, Dataset
    from torch.utils.data._utils.fetch import _MapDatasetFetcher as Fetcher

    class Items(Dataset):
        def __len__(self) -> int:
            return 1 << 20

        def __getitem__(self, index: int) -> int:
            return index

    def timed(loader: DataLoader) -> float:
        iterator = iter(loader)
        next(iterator)
        begin = time.thread_time()
        for _ in range(PER_ROUND):
            next(iterator)
        return (time.thread_time() - begin) / PER_ROUND * 1e6

    added = {}
    for size in (1, 256):
        loader = DataLoader(Items(), batch_size=size, collate_fn=len)
        pairs = []
        recorded_fetch = Fetcher.fetch
        for _ in range(rounds):
            Fetcher.fetch = bare_fetch
            bare = timed(loader)
            Fetcher.fetch = recorded_fetch
            pairs.append((bare, timed(loader)))
        added[size] = statistics.median(b - a for a, b in pairs)
        bare = statistics.median(a for a, _ in pairs)
        print(f"batch of {size:>3}: bare {bare:7.2f} us, recorded + {added[size]:.2f} us")
    per_item = (added[256] - added[1]) / 255
    print(f"per batch {added[1] - per_item:.2f} us, per item {per_item:.3f} us")


def turns_of(us: float) -> int:
    """How often a loop goes round in so much CPU time, at best."""
    turns, best = 1000, float("inf")
    for _ in range(200):
        begin = time.thread_time()
        for _ in range(turns):
            pass
        best = min(best, time.thread_time() - begin)
    return max(1, round(turns * us * 1e-6 / best))


def in_turns(name: str, pairs: int, bare: Callable, recorded: Callable) -> None:
    def timed(one: Callable) -> float:
        begin = time.thread_time()
        one()
        return (time.thread_time() - begin) * 1e6

    took = []
    for k in range(pairs):
        if k % 2 == 0:
            first = timed(bare)
            took.append((first, timed(recorded)))
        else:
            second = timed(recorded)
            took.append((timed(bare), second))
    ratios = sorted(b / a for a, b in took)
    within = round(0.98 * pairs**0.5)  # ranks around the middle one
    low, high = ratios[max(0, pairs // 2 - within)], ratios[min(pairs - 1, pairs // 2 + within)]
    print(
        f"64 items of 10 us, {name:<13} with/without {statistics.median(ratios):.4f} "
        f"({low:.4f} to {high:.4f}); bare {statistics.median(a for a, _ in took):.0f} us, "
        f"recorded + {statistics.median(b - a for a, b in took):.1f} us"
    )


def short_items(pairs: int, bare_fetch: Callable, bare_next: Callable) -> None:
    from torch.utils.data import DataLoader, Dataset

    turns = turns_of(10)

    class Items(Dataset):
        def __len__(self) -> int:
            return 1 << 24

        def __getitem__(self, index: int) -> int:
            for _ in range(turns):
                pass
            return index

    loader = DataLoader(Items(), batch_size=64, collate_fn=len)
    bare, unmade, recorded = iter(loader), iter(loader), iter(loader)
    for iterator in (bare, unmade):
        fetcher = iterator._dataset_fetcher
        fetcher.fetch = types.MethodType(bare_fetch, fetcher)
    in_turns("made", pairs, lambda: next(unmade), lambda: next(recorded))
    in_turns("in the loop", pairs, lambda: bare_next(bare), lambda: next(recorded))


def one_run(program: str, arguments: list[str], recorded: bool) -> float:
    launcher = [DATASTALL, "run"] if recorded else []
    out = subprocess.run(
        [*launcher, sys.executable, program, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=tempfile.gettempdir(),
    ).stdout
    return float(out.split()[0])


def throughput(rounds: int) -> None:
    folder = tempfile.mkdtemp()
    program = os.path.join(folder, "loop.py")
    Path(program).write_text(LOOP)
    os.environ["DATASTALL_DIR"] = folder
    for name, arguments in {
        "20 ms, 2 workers": ["0.02", "320", "4", "2"],
        "1 ms, 2 workers": ["0.001", "3200", "16", "2"],
    }.items():
        ratios = []
        for k in range(rounds):
            order = (False, True) if k % 2 == 0 else (True, False)
            took = {recorded: one_run(program, arguments, recorded) for recorded in order}
            ratios.append(took[True] / took[False])
        spread = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else 0.0
        middle = statistics.median(ratios)
        print(f"items of {name:<20} time with/without {middle:.4f} +- {spread:.4f}")


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    bare_fetch, bare_next = install()
    per_fetch(5 * number, bare_fetch)
    short_items(250 * number, bare_fetch, bare_next)
    throughput(number)
