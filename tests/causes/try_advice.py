# SPDX-License-Identifier: Apache-2.0
"""Tries what was advised: runs the programs of a report with the settings that the advice names.

    python tests/causes/run_reports.py --json FILE
    python tests/causes/try_advice.py FILE [NAME ...]

For each program of FILE whose suggestion begins with settings of a DataLoader (num_workers=4,
persistent_workers=True, ...): its own time as it is and with them, three runs of each in turns,
without datastall. A line says both medians. Exit 1 when a program became slower than the spread of
its runs. Advice in words is tried by the cure that each program of reports/ has.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from run_plants import HERE, run_bounded
from run_reports import TIMEOUT_S, own_time

RUNS = 3

#: Runs a program with other settings of every DataLoader that it makes.
SHIM = """
import json, runpy, sys
import torch.utils.data.dataloader as module
settings = json.loads(sys.argv[1])
original = module.DataLoader.__init__
def init(self, *args, **kwargs):
    kwargs.update(settings)
    if kwargs["num_workers"] == 0:
        for name in ("prefetch_factor", "persistent_workers", "multiprocessing_context"):
            kwargs.pop(name, None)
    original(self, *args, **kwargs)
if "num_workers" not in settings:
    def init(self, *args, **kwargs):
        original(self, *args, **{**kwargs, **settings})
module.DataLoader.__init__ = init
sys.argv[:] = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def settings_of(suggestion: str) -> dict[str, Any]:
    """Those that a suggestion begins with."""
    found = re.match(r"(num_workers|prefetch_factor|persistent_workers)=(\w+)", suggestion)
    if found is None:
        return {}
    return {found[1]: True if found[2] == "True" else int(found[2])}


def time_of(name: str, settings: dict[str, Any]) -> float | None:
    program = str(HERE / "reports" / f"{name}.py")
    shim = ["-c", SHIM, json.dumps(settings)] if settings else []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *shim, program]
        ended = run_bounded(command, Path(folder), dict(os.environ), TIMEOUT_S)
        return own_time(ended.stdout) if ended.returncode == 0 else None


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("report", type=Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    slower = 0
    for name, result in json.loads(options.report.read_text()).items():
        settings = settings_of(result["runs"]["as is"]["suggestion"])
        if not settings or (options.names and name not in options.names):
            continue
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(RUNS):
            for tried in (False, True):
                taken = time_of(name, settings if tried else {})
                if taken is not None:
                    times[tried].append(taken)
        if min(len(one) for one in times.values()) < RUNS:
            print(f"{name:<28} {settings}: not every run ended well", flush=True)
            continue
        before, after = (statistics.median(times[tried]) for tried in (False, True))
        worse = min(times[True]) > max(times[False])
        slower += worse
        print(
            f"{name:<28} {settings}: {before:.2f} -> {after:.2f} s{'  SLOWER' if worse else ''}",
            flush=True,
        )
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
