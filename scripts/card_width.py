# SPDX-License-Identifier: Apache-2.0
"""Whether what is printed of a run fits the terminal: at most 80 columns on one of 80, and the
card at most 20 lines. Printed are whole runs: of one rank and of four, with names as long as they
can be and of wide characters; and the small file of a CPU's and of a GPU's process.

python scripts/card_width.py [--build FOLDER]

FOLDER, where what it needs is built first: build-test, which `make test` also uses.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ["src/datastall", "bench/bench_long_run", "tests/c/make_small_file"]
CARD_LINES = 20
NAMES = {"narrow": "n" * 100, "words": "many words " * 9, "wide": "数" * 33, "short": "train.py:41"}
#: What is printed of a run, and whether it is the card.
COMMANDS = [(("show",), True), (("show", "-v"), False), (("predict",), False)]


def columns(line: str) -> int:
    line = re.sub(r"\033\[[0-9;]*m", "", line)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in line
    )


def build(folder: Path) -> None:
    tools = {**os.environ, "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"}
    steps = [["ninja", "-C", str(folder), *TARGETS]]
    if not (folder / "build.ninja").exists():
        options = ["-Dpython=false", "-Dtests=true", "-Dbuildtype=debugoptimized"]
        steps.insert(0, ["meson", "setup", str(folder), *options])
    for step in steps:
        ended = subprocess.run(step, cwd=ROOT, env=tools, capture_output=True, text=True)
        if ended.returncode != 0:
            sys.exit(ended.stdout[-4000:] + ended.stderr)


def make_runs(build_folder: Path, runs: Path) -> None:
    for name in NAMES.values():
        for ranks in ("1", "4"):
            words = [build_folder / "bench/bench_long_run", runs, ranks, "1", "2", name]
            subprocess.run(words, check=True, capture_output=True)
    for kind in ([], ["gpu"]):
        folder = runs / f"20260101-000000-small{len(kind)}"
        folder.mkdir(mode=0o700)
        words = [build_folder / "tests/c/make_small_file", folder / "rank0-1-1.dsrun", *kind]
        subprocess.run(words, check=True)


class Program:
    def __init__(self, path: Path, runs: Path) -> None:
        self.path, self.runs, self.wrong = path, runs, 0

    def said(self, width: int, *words: str) -> list[str]:
        terminal = {"COLUMNS": str(width), "LC_ALL": "C.UTF-8", "DATASTALL_DIR": str(self.runs)}
        ended = subprocess.run(
            [self.path, *words], env={**os.environ, **terminal}, capture_output=True, text=True
        )
        lines = (ended.stdout + ended.stderr).splitlines()
        if not lines:
            self.tell(f"datastall {' '.join(words)} says nothing")
        return lines

    def tell(self, what: str) -> None:
        self.wrong += 1
        print(what)

    def check(self, width: int, words: tuple[str, ...], is_card: bool) -> None:
        lines = self.said(width, *words)
        for line in lines:
            if columns(line) > max(width, 80):
                self.tell(
                    f"datastall {' '.join(words)}: {columns(line)} columns of {width}: {line}"
                )
        if is_card and len(lines) > CARD_LINES:
            self.tell(f"datastall {' '.join(words)}: {len(lines)} lines of at most {CARD_LINES}")


def main() -> int:
    parser = argparse.ArgumentParser(description="what is printed of a run fits the terminal")
    parser.add_argument("--build", type=Path, default=ROOT / "build-test")
    folder = parser.parse_args().build.resolve()
    build(folder)
    with tempfile.TemporaryDirectory() as place:
        runs = Path(place)
        make_runs(folder, runs)
        program = Program(folder / "src/datastall", runs)
        names = sorted(path.name for path in runs.iterdir())
        for width in (40, 80, 120):
            for words, is_card in COMMANDS:
                for name in names:
                    program.check(width, (*words, name), is_card)
            program.check(width, ("compare", names[-2], names[-1]), False)
        print(f"{len(names)} runs")
    return 1 if program.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
