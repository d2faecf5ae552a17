# SPDX-License-Identifier: Apache-2.0
"""Compares what was predicted with what measure.py measured: ``check.py FOLDER``.

The first run of each program as it is predicts all other settings; the median of their runs holds.
--from-all: each setting's first run predicts all others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

Setting = tuple[int, int | None]


def predicted(run: Path) -> Any:
    told = subprocess.run(
        ["datastall", "predict", "--json", "--workers", "0..8", "--prefetch", "1..6", str(run)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(told.stdout)["loaders"][0]["predicted"]


def find(prediction: Any, setting: Setting) -> Any:
    workers, prefetch = setting
    for one in prediction["settings"]:
        if one["if_split"]:  # it would be other data
            continue
        same = one["num_workers"] == workers and one["prefetch_factor"] in (prefetch, None)
        if same and one["persistent_workers"] in (
            False,
            prediction["measured"]["persistent_workers"],
        ):
            return one["samples_per_s"]
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from-all", action="store_true")
    options = parser.parse_args()
    rates: dict[tuple[str, Any], list[float]] = defaultdict(list)
    runs: dict[tuple[str, Any], Path] = {}
    for one in json.loads((options.folder / "measured.json").read_text()):
        key = (one["program"], None if one["setting"] is None else tuple(one["setting"]))
        if "run" in one:
            rates[key].append(one["samples_per_s"])
        if "run" in one and one["repeat"] == 0:
            runs[key] = options.folder / one["run"]
    errors, held, slower = [], 0, 0
    print("| program | replay misses by | pairs | median error | worst | intervals that hold |")
    print("|---|---|---|---|---|---|")
    for (program, source), run in runs.items():
        if source is not None and not options.from_all:
            continue
        prediction = predicted(run)
        if prediction["says"] is not None:
            print(f"| {program} {source or ''} | {prediction['says']} | | | | |")
            continue
        own = statistics.median(rates[program, source])
        mine = []
        for (name, setting), measured in rates.items():
            told = None
            if name == program and setting not in (None, source):
                told = find(prediction, setting)
            if told is None:
                continue
            truth = statistics.median(measured)
            holds = told["lower"] <= truth <= told["upper"]
            mine.append((abs(told["mean"] / truth - 1), holds))
            slower += told["lower"] > prediction["measured"]["samples_per_s"]["mean"] and (
                truth < 0.98 * own
            )
        errors += [error for error, _ in mine]
        held += sum(holds for _, holds in mine)
        print(
            f"| {program} {source or ''} | {100 * prediction['replay_error']:+.1f} % | {len(mine)} "
            f"| {100 * statistics.median(e for e, _ in mine):.1f} % "
            f"| {100 * max(e for e, _ in mine):.0f} % "
            f"| {sum(h for _, h in mine)} of {len(mine)} |"
        )
    print(
        f"\n{len(errors)} pairs: median error {100 * statistics.median(errors):.1f} %, "
        f"{100 * held / len(errors):.0f} % of the intervals hold, "
        f"{slower} promised a gain where the program got slower"
    )


if __name__ == "__main__":
    main()
