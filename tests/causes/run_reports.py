# SPDX-License-Identifier: Apache-2.0
"""Runs the programs after public reports: what is true of each, what datastall names and advises.

    python tests/causes/run_reports.py [--json FILE] [--accept NAME=NAME[,NAME]] [NAME ...]

Each program of reports.toml runs as it is and, where it has a cure, with `fix`: without datastall,
for the time that it prints itself, and under it. A line says what was expected and named (after an
arrow: of the cured program), the share of the time that was waited, the program's own time before
and after the cure, the suggestion, and what of these is wrong. Exit 1 when anything is.

In reports.toml, beside where a program comes from (no address: told to us) and the truth about it:

primary  every cause that would be right
advice   one of these must be in the suggestion; []: there must be none; left out: as it likes
never    none of these may be in it
cured    every cause that would be right after the cure; left out: there is none
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tomllib
from run_plants import HERE, run_bounded, run_recorded

TIMEOUT_S = 120.0


def own_time(printed: str) -> float | None:
    """The seconds that a program says of itself."""
    found = re.findall(r"^(\d+\.\d+) s\b", printed, re.MULTILINE)
    return float(found[-1]) if found else None


def run_once(name: str, arguments: list[str]) -> dict[str, Any]:
    """A program's own time without datastall, and what is said of it under datastall."""
    command = [sys.executable, str(HERE / "reports" / f"{name}.py"), *arguments]
    variables = dict(os.environ)
    result: dict[str, Any] = {"plain_s": None, "exit": None, "primary": "", "suggestion": ""}
    try:
        with tempfile.TemporaryDirectory() as folder:
            ended = run_bounded(command, Path(folder), variables, TIMEOUT_S)
            result["plain_s"] = own_time(ended.stdout)
        with tempfile.TemporaryDirectory() as folder:
            ended, loader = run_recorded(command, Path(folder), variables, TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return {**result, "exit": "time-out"}
    result["exit"], result["recorded_s"] = ended.returncode, own_time(ended.stdout)
    if loader is None:
        return {**result, "primary": "no loader"}
    why = loader["why"]
    result["primary"], result["suggestion"] = why["primary"], why["suggestion"] or ""
    return {**result, "stall_share": why["stall_share"], "loader": loader}


def is_right(primary: str, expected: list[str], accept: dict[str, list[str]]) -> bool:
    return any(one in expected for one in (primary, *accept.get(primary, [])))


def wrong_advice(suggestion: str, entry: dict[str, Any]) -> list[str]:
    """What is wrong with a suggestion: `advice`, `never`."""
    text, advice = suggestion.lower(), entry.get("advice")
    missing = advice is not None and not any(one in text for one in advice)
    if advice == []:
        missing = text != ""
    harmful = any(one in text for one in entry["never"])
    return ["advice"] * missing + ["never"] * harmful


def judge(
    entry: dict[str, Any], runs: dict[str, dict[str, Any]], accept: dict[str, list[str]]
) -> list[str]:
    """What is wrong with what was said of a program; nothing when it is all right."""
    plain, fixed = runs["as is"], runs.get("cured")
    must_fail = "failed" in entry["primary"]
    wrong = ["exit"] if plain["exit"] == "time-out" or (plain["exit"] != 0) != must_fail else []
    if not is_right(plain["primary"], entry["primary"], accept):
        wrong.append("primary")
    wrong += wrong_advice(plain["suggestion"], entry)
    if fixed is not None and fixed["exit"] != 0:
        wrong.append("cured exit")
    if fixed is not None and not is_right(fixed["primary"], entry["cured"], accept):
        wrong.append("cured primary")
    return wrong


def line(
    name: str, entry: dict[str, Any], runs: dict[str, dict[str, Any]], wrong: list[str]
) -> str:
    def arrow(texts: list[str]) -> str:
        return " -> ".join(texts)

    def seconds(value: float | None) -> str:
        return "?" if value is None else f"{value:.2f}"

    expected = arrow(["/".join(entry[key]) for key in ("primary", "cured") if key in entry])
    named = arrow([one["primary"] or str(one["exit"]) for one in runs.values()])
    times = arrow([seconds(one["plain_s"]) for one in runs.values()])
    share = runs["as is"].get("stall_share")
    stalled = "?" if share is None else f"{share:.0%}"
    mark = f"WRONG ({', '.join(wrong)})" if wrong else "ok"
    return (
        f"{name:<28} {mark:<32} expected {expected}; named {named}; {stalled} waited; "
        f'{times} s; "{runs["as is"]["suggestion"][:60]}"'
    )


def accepted(texts: list[str]) -> dict[str, list[str]]:
    """Names that stand for others, from NAME=NAME,NAME."""
    pairs = (text.partition("=") for text in texts)
    return {name: others.split(",") for name, _, others in pairs}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--accept", action="append", default=[], metavar="NAME=NAME[,NAME]")
    options = parser.parse_args()
    accept = accepted(options.accept)
    table = tomllib.loads((HERE / "reports.toml").read_text())
    names = options.names or list(table)
    results: dict[str, Any] = {}
    for name in names:
        entry = table[name]
        runs = {"as is": run_once(name, [])}
        if "cured" in entry:
            runs["cured"] = run_once(name, ["fix"])
        wrong = judge(entry, runs, accept)
        results[name] = {"origin": entry["origin"], "wrong": wrong, "runs": runs}
        print(line(name, entry, runs, wrong), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    right = sum(not one["wrong"] for one in results.values())
    print(f"{right} of {len(results)} right")
    return 0 if right == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
