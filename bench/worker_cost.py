# SPDX-License-Identifier: Apache-2.0
"""What recording costs where batches are made.

Part 1: one fetch() in this process, bare against recorded, in turns: per batch and per item, in CPU
time of the thread, so that other programs on the machine do not count.
Part 2: throughput of a whole DataLoader with against without, in processes of their own, in turns.

    python bench/worker_cost.py [rounds]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
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
        if seconds < 0.001:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                pass
        else:
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


def per_fetch(rounds: int) -> None:
    os.environ.pop("DATASTALL_RUN_DIR", None)
    os.environ["DATASTALL_DIR"] = tempfile.mkdtemp()
    import datastall
    from torch.utils.data import DataLoader, Dataset
    from torch.utils.data._utils.fetch import _MapDatasetFetcher as Fetcher

    bare_fetch = Fetcher.fetch
    datastall.install()

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
        "10 us, 1 worker": ["0.00001", "160000", "64", "1"],
        "10 us, in the loop": ["0.00001", "160000", "64", "0"],
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
    per_fetch(5 * number)
    throughput(number)
