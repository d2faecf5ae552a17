# SPDX-License-Identifier: Apache-2.0
"""What a job is said to have lost, beside what the same job loses really.

    python bench/job/measure.py [--ranks 2] [--steps 160] [--json FILE] [NAME ...]

Each program of programs.py runs with its delays and without them, both under `datastall run
torchrun`; the difference of their times is the truth. A line of each: the truth, what is said,
whether it names the rank and the reason, and the sentence. slow_gpu, which needs a GPU for each
rank, runs where it is named.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DATASTALL = Path(sys.executable).parent / "datastall"
#: Reasons and ranks that are to be named, of those that cost at least 5 %; None: no number.
EXPECTED: dict[str, set[tuple[int, str]] | None] = {
    "healthy": set(),
    "one_rank": {(1, "input")},
    "now_and_then": {(-1, "input")},
    "in_turns": {(0, "input"), (1, "input")},
    "all_ranks": {(0, "input"), (1, "input")},
    "checkpoint": {(0, "not_input")},
    "mixed": {(1, "input"), (0, "not_input")},
    "slow_rank": {(1, "not_input")},
    "slow_and_late": {(1, "not_input"), (0, "input")},
    "accumulation": {(1, "input")},
    "not_together": None,
    "short_epochs": {(1, "input")},
    "two_loaders": {(1, "input")},
    "slow_gpu": set(),  # nothing is charged; the rank whose GPU works for longest is told
}
BUSIEST_GPU = {"slow_gpu": 1}


def run(name: str, options: argparse.Namespace, plain: bool) -> tuple[float, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DATASTALL_DIR": folder, "OMP_NUM_THREADS": "1"}
        command = [str(DATASTALL), "run", "--quiet", sys.executable, "-m", "torch.distributed.run"]
        command += ["--standalone", "--nproc-per-node", str(options.ranks)]
        command += [str(HERE / "programs.py"), name, "--steps", str(options.steps)]
        ended = subprocess.run(
            command + ["--plain"] * plain,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        )
        show = subprocess.run(
            [str(DATASTALL), "show", "--json"],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    took = next(line for line in ended.stdout.splitlines() if line.startswith("took "))
    return float(took.split()[1]), json.loads(show.stdout)


def lost_s(job: dict[str, Any]) -> float:
    return (job["lost_s"]["mean"] or 0.0) + (job["not_input_s"] or 0.0)


def named(job: dict[str, Any]) -> set[tuple[int, str]]:
    return {
        (cause["rank"], cause["reason"])
        for cause in job["causes"]
        if cause["lost_s"] >= 0.5 and cause["lost_s"] >= 0.05 * job["active_s"]
    }


def judge(name: str, ranks: int, job: dict[str, Any]) -> bool:
    expected = EXPECTED[name]
    if expected is None:
        return job["lost_s"]["mean"] is None
    wanted = {(rank % ranks, reason) for rank, reason in expected}
    if name == "in_turns":
        wanted = {(rank, "input") for rank in range(ranks)}
    if job["lost_s"]["mean"] is None or job["busiest_gpu_rank"] != BUSIEST_GPU.get(name):
        return False
    # Where all are alike, which of them was the last is chance.
    return named(job) == wanted if name != "all_ranks" else "alike" in job["text"]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    wrong = 0
    print(f"{'program':<14} {'longer by':>9} {'lost':>7} {'late':>7} {'off':>7}  named, and said")
    for name in options.names or [name for name in EXPECTED if name not in BUSIEST_GPU]:
        delayed_s, summary = run(name, options, plain=False)
        plain_s, plain = run(name, options, plain=True)
        job = summary["job"]
        truth = delayed_s - plain_s
        said = lost_s(job) - lost_s(plain["job"])  # which loses a little by itself
        right = judge(name, options.ranks, job)
        wrong += not right
        off = (said - truth) / delayed_s
        results[name] = {"delayed_s": delayed_s, "plain_s": plain_s, "job": job, "right": right}
        print(
            f"{name:<14} {truth:8.2f}s {job['lost_s']['mean'] or 0:6.2f}s "
            f"{job['not_input_s'] or 0:6.2f}s {off:6.1%}  {'right' if right else 'WRONG'}: "
            f"{job['text'] or job['gpu_text'] or job['says']}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
