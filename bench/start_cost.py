# SPDX-License-Identifier: Apache-2.0
"""What the hooks add to an interpreter's start: datastall.pth without a run; a run without torch.

The first figure is taken inside one process (site reads the file as it does at a start, against a
file with an empty line); the others are whole processes that take turns, medians of CPU time.

    python bench/start_cost.py [rounds]
"""

from __future__ import annotations

import os
import resource
import site
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import datastall

PACKAGE = Path(datastall.__file__).parent
PTH = PACKAGE.parent / "datastall.pth"


def reading_us(folder: str, name: str, times: int = 2000) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        site.addpackage(folder, name, set())
    return (time.perf_counter() - begin) / times * 1e6


def start_ms(extra: dict[str, str]) -> float:
    """CPU time of an interpreter that does nothing."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DATASTALL_", "PYTHONPATH"))}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "pass"], env={**kept, **extra}, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    os.environ.pop("DATASTALL_RUN_DIR", None)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "empty.pth").write_text("\n")
        Path(folder, "datastall.pth").write_text(PTH.read_text())
        pairs = [
            (reading_us(folder, "empty.pth", 200), reading_us(folder, "datastall.pth", 200))
            for _ in range(20)
        ]
        print(f"no run: {statistics.median(b - a for a, b in pairs):.1f} us for datastall.pth")
        injected = {
            "DATASTALL_RUN_DIR": folder,
            "DATASTALL_PACKAGE_DIR": str(PACKAGE),
            "PYTHONPATH": str(PACKAGE / "_inject"),
        }
        both = [(start_ms({}), start_ms(injected)) for _ in range(rounds)]
    alone = statistics.median(a for a, _ in both)
    added = statistics.median(b - a for a, b in both)
    ratio = statistics.median(b / a for a, b in both)
    print(f"a start {alone:.1f} ms, in a run {added:+.2f} ms, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
