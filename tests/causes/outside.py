# SPDX-License-Identifier: Apache-2.0
"""The split of a worker's time, seen from outside: /proc sampled by another process.

Starts planted programs under datastall, samples each worker's main thread (state and schedstat) at
200 Hz while it runs, and compares running, waiting for a CPU and blocked with what datastall says
of items, collation and the gap together.

    python tests/causes/outside.py [NAME ...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run_plants import DATASTALL, HERE

NAMES = ["compute_decoding", "contention_four_on_one", "blocked_socket"]


def worker_pids(root: int) -> list[int]:
    """Processes below `root` whose main thread torch named as a worker's."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        try:
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        todo += map(int, text.split())
        if name == "pt_data_worker":
            found.append(pid)
    return found


def schedstat(pid: int) -> tuple[int, int] | None:
    try:
        ran, waited, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
        return int(ran), int(waited)
    except (OSError, ValueError):
        return None


def check(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "DATASTALL_DIR": f"{folder}/runs"}
        program = subprocess.Popen(
            [DATASTALL, "run", sys.executable, HERE / "plants.py", name],
            cwd=folder,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        first: dict[int, tuple[float, int, int]] = {}
        last: dict[int, tuple[float, int, int]] = {}
        while program.poll() is None:
            for pid in worker_pids(program.pid):
                times = schedstat(pid)
                if times is not None:
                    now = (time.monotonic(), *times)
                    first.setdefault(pid, now)
                    last[pid] = now
            time.sleep(0.005)
        shown = subprocess.run(
            [DATASTALL, "show", "--json"], cwd=folder, env=variables, capture_output=True
        )
    loader = max(json.loads(shown.stdout)["loaders"], key=lambda one: one["waiting_s"])
    wall = sum(last[pid][0] - first[pid][0] for pid in first)
    outside = [
        sum(last[pid][1] - first[pid][1] for pid in first) * 1e-9 / wall,
        sum(last[pid][2] - first[pid][2] for pid in first) * 1e-9 / wall,
    ]
    workers = loader["workers"]
    whole = sum(w["items_s"] + w["collate_s"] + w["gap_s"] for w in workers)
    inside = [sum(w[key] for w in workers) / whole for key in ("running_s", "cpu_wait_s")]
    for figures in (outside, inside):
        figures.append(1 - sum(figures))
    print(f"{name:<28} {'running':>9} {'cpu wait':>9} {'blocked':>9}")
    print(f"{'  from outside':<28}" + "".join(f" {value:9.1%}" for value in outside))
    print(f"{'  datastall':<28}" + "".join(f" {value:9.1%}" for value in inside))
    worst = max(abs(a - b) for a, b in zip(outside, inside, strict=True))
    print(f"{'  largest difference':<28} {worst * 100:8.1f} points")


if __name__ == "__main__":
    for one in sys.argv[1:] or NAMES:
        check(one)
