# SPDX-License-Identifier: Apache-2.0
"""How near the recorded waits are to what a program measures around next() itself, in one run.

Runs loops of tests/python/programs/loops.py under datastall. The program reads its clock outside of
each next() and inside of it, in torch's _next_data(); what datastall says lies between (the tests
hold it to that) and here is how far from the outside: as a ratio, and in microseconds a wait.

    python bench/wait_error.py [rounds]
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).resolve().parents[1] / "tests" / "python" / "programs"
DATASTALL = str(Path(sys.executable).parent / "datastall")
LOOPS = ("workers0", "workers2", "epochs", "stream", "custom_collate")


def quantile(waits: list[int], p: float) -> int:
    return sorted(waits)[min(len(waits) - 1, int(len(waits) * p))]


def run(name: str) -> tuple[dict[str, Any], list[list[int]]]:
    """(the recorded steady waits, the program's [inside, outside])."""
    with tempfile.TemporaryDirectory() as folder:
        for program in ("loops.py", "timing.py"):
            shutil.copy(PROGRAMS / program, folder)
        environment = {k: v for k, v in os.environ.items() if k != "DATASTALL_RUN_DIR"}
        environment |= {"DATASTALL_DIR": folder + "/runs", "OMP_NUM_THREADS": "1"}

        def output(*words: str) -> str:
            return subprocess.run(
                [DATASTALL, *words],
                cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True,
            ).stdout  # fmt: skip

        printed = output("run", "-q", sys.executable, "loops.py", name).splitlines()[-1]
        loader = json.loads(output("show", "--json"))["loaders"][0]
        return loader["wait_ms"], json.loads(printed)["main"]["steady"]


def errors(recorded: dict[str, Any], own: list[list[int]]) -> dict[str, float]:
    outside = [pair[1] for pair in own]
    mean = statistics.mean(outside)
    found = {"mean": recorded["mean"] * 1e6 / mean - 1, "us": (mean - recorded["mean"] * 1e6) / 1e3}
    for name, p in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99)):
        found[name] = recorded[name] * 1e6 / quantile(outside, p) - 1
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"recorded against the program's own clock, medians of {rounds} runs")
    print(f"{'loop':<16} {'mean':>8} {'p50':>8} {'p95':>8} {'p99':>8}   shorter by")
    for name in LOOPS:
        runs = [errors(*run(name)) for _ in range(rounds)]
        middle = {key: statistics.median(each[key] for each in runs) for key in runs[0]}
        shares = " ".join(f"{middle[key]:+8.3%}" for key in ("mean", "p50", "p95", "p99"))
        print(f"{name:<16} {shares}   {middle['us']:.1f} us a wait")


if __name__ == "__main__":
    main()
