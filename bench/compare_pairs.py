# SPDX-License-Identifier: Apache-2.0
"""What `datastall compare` says of pairs whose truth is known: a program with itself, and with a
planted difference. The items sleep, so that a busy machine changes little of the truth.

python bench/compare_pairs.py [--same 30] [--planted 10] [--seconds 8] [--at-once 4] [--json FILE]

Prints a line for each kind of pair: how many were called faster, slower, the same, and how many
intervals hold the truth. Exit 1 when more than 2 of 30 equal pairs are called different, or a
difference of 10 % or more is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DATASTALL = str(Path(sys.executable).parent / "datastall")
#: A loop over items of random length, 10 ms on average with a standard deviation of 20 %, in spells
#: of like items; and a step of 1 ms.
PROGRAM = """
import random, sys, time
import datastall

factor, seconds = float(sys.argv[1]), float(sys.argv[2])

def items():
    spell, until = 1.0, time.monotonic() + seconds
    while time.monotonic() < until:
        spell = 0.9 * spell + 0.1 * random.uniform(0.7, 1.3)
        time.sleep(max(0.0, 0.010 * spell * random.gauss(1, 0.2)) / factor)
        yield [0] * 8

for _ in datastall.watch(items(), name="items"):
    time.sleep(0.001 / factor)
"""


def run(folder: Path, name: str, factor: float, seconds: float) -> None:
    subprocess.run(
        [
            *(DATASTALL, "run", "-q", "--dir", str(folder / "runs"), "--name", name),
            *(sys.executable, str(folder / "program.py"), str(factor), str(seconds)),
        ],
        check=True,
    )


def compare(folder: Path, name: str) -> dict[str, object]:
    ended = subprocess.run(
        [
            *(DATASTALL, "compare", "--json", "--dir", str(folder / "runs")),
            *(f"{name}-first", f"{name}-second"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode not in (0, 4):
        raise SystemExit(ended.stderr)
    return json.loads(ended.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--same", type=int, default=30)
    parser.add_argument("--planted", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    pairs = [(f"same{i:02}", 1.0) for i in range(wanted.same)]
    for percent in (5, 10, 50):
        # Half of them faster, half slower.
        pairs += [
            (f"by{percent}-{i:02}", (1 + percent / 100) ** (1 if i % 2 else -1))
            for i in range(wanted.planted)
        ]
    answers: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(wanted.at_once) as pool:
        folder = Path(name)
        (folder / "program.py").write_text(PROGRAM)
        jobs = [
            pool.submit(run, folder, f"{pair}-{side}", factor, wanted.seconds)
            for pair, truth in pairs
            for side, factor in (("first", 1.0), ("second", truth))
        ]
        for job in jobs:
            job.result()
        for pair, truth in pairs:
            answers.append({"pair": pair, "truth": truth, **compare(folder, pair)})
    if wanted.json:
        wanted.json.write_text(json.dumps(answers, indent=1))
    return tell(answers, wanted.same)


def tell(answers: list[dict[str, object]], same: int) -> int:
    good = True
    for kind in ("same", "by5-", "by10-", "by50-"):
        of_kind = [answer for answer in answers if str(answer["pair"]).startswith(kind)]
        results = [answer["result"] for answer in of_kind]
        right = held = 0
        for answer in of_kind:
            truth, ratio = answer["truth"], answer["throughput_ratio"]
            right += answer["result"] == (
                "same" if truth == 1 else "faster" if truth > 1 else "slower"
            )
            held += ratio["mean"] is not None and ratio["lower"] <= truth <= ratio["upper"]
        counts = ", ".join(f"{results.count(result)} {result}" for result in sorted(set(results)))
        print(f"{kind:6} {len(of_kind)} pairs: {counts}; right {right}, the interval holds {held}")
        if kind == "same":
            good &= len(of_kind) - right <= 2 * max(1, same // 30)
        elif kind in ("by10-", "by50-"):
            good &= right == len(of_kind)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
