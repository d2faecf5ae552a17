# SPDX-License-Identifier: Apache-2.0
"""What `tune` chooses against a search through all numbers of workers: ``tune_check.py FOLDER``.

Each program is tuned, then run with num_workers 0 to 6; the chosen setting's rate in that search is
compared with the best one's.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import measure

PROGRAMS = ("computing", "sleeping", "mixed", "heavy_collate", "in_the_loop", "unpacking")
MOST_WORKERS = 6


def tuned(program: str, folder: Path, cpus: set[int]) -> tuple[int, int]:
    """The number of workers that was chosen, and how many runs it took."""
    words = ["datastall", "tune", "--for", "60s", "--dir", str(folder), "--"]
    script = str(measure.HERE / "programs.py")
    ended = subprocess.run(
        [*words, sys.executable, script, program],
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    chosen = re.search(r"^(?:WRITE|KEEP) .*?num_workers=(\d+)", ended.stdout, re.M)
    assert chosen, ended.stdout
    return int(chosen[1]), len(re.findall(r"num_workers=\d+ .*\d", ended.stdout.split("ended:")[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--first-cpu", type=int, default=0, help="it and the next one are used")
    options = parser.parse_args()
    cpus = {options.first_cpu, options.first_cpu + 1}
    options.folder.mkdir(parents=True, exist_ok=True)
    print("| program | tune chose | runs | best of the search | of its throughput |")
    print("|---|---|---|---|---|")
    for program in options.programs or PROGRAMS:
        chosen, runs = tuned(program, options.folder / f"tune-{program}", cpus)
        rates = {}
        for workers in range(max(chosen, MOST_WORKERS) + 1):
            job = (program, (workers, None), 0)
            rates[workers] = measure.measure(job, options.folder, "programs", cpus)["samples_per_s"]
        best = max(rates, key=lambda workers: rates[workers])
        print(
            f"| {program} | num_workers={chosen} | {runs} | num_workers={best} "
            f"| {100 * rates[chosen] / rates[best]:.0f} % |",
            flush=True,
        )


if __name__ == "__main__":
    main()
