# SPDX-License-Identifier: Apache-2.0
"""Changes the code in small ways, one at a time, and says which changes no C test notices.

    python scripts/mutate.py [-n 200] [-j 2] [--seed 1] [--only src/diagnose] [--list]

Takes `n` places at random from src/diagnose, src/stats, src/runfile and src/run (a comparison
turned round, a sum made a difference, a limit moved by one, a condition negated, a statement left
out), builds each changed tree in a copy and runs the C tests that take less than a few seconds.
Prints a table per room and the changes that survived. Not part of `make test`: a mutant takes some
seconds to a minute.

A change that scripts/mutate-equivalent.txt lists (path | line | changed line | why) is not tried:
no test can tell.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]
ROOMS = ("src/diagnose", "src/stats", "src/runfile", "src/run")
#: Quick ones first: a mutant is dead at its first failure.
QUICK = """
histogram counters cause diagnose view rollup record format feed activity impossible openmetrics
screen handles stall gpu_monitor sampler limits stopped_writer kill9 readers hostile
"""
TESTS = tuple(QUICK.split())
#: What lies between folders has tests of its own, which take longer.
FOLDERS = re.compile(r"/(tmpfs|homecoming|sweep|rundir|listing|liveness|opened|run_data)\.c$")
TESTS_OF_FOLDERS = ("rundir", "faults", "tmpfs")
SECONDS = 120
#: What becomes of what; each match is a mutant.
CHANGES: tuple[tuple[str, str], ...] = (
    (r" < ", " <= "),
    (r" <= ", " < "),
    (r" > ", " >= "),
    (r" >= ", " > "),
    (r" == ", " != "),
    (r" != ", " == "),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" && ", " || "),
    (r" \|\| ", " && "),
    (r" \+= ", " = "),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"if \((?!\!)", "if (!("),
    (r"\breturn ([^;]+);", "return 0;"),
    (r"(?<=[ (=])(\d+)(?=[,;) ])", "+1"),
)
STATEMENT = re.compile(r"^\s+[\w>\-\[\]\.\*&]+( [\+\-\|&]?= |\(|\+\+).*;$")
SKIP = re.compile(r"^\s*(#|/?\*|//|static const|const |_Static_assert|\}|case |default:)|ds_fail")


@dataclass(frozen=True)
class Mutant:
    path: str
    line: int
    before: str
    after: str


def mutants_of(path: Path) -> Iterator[Mutant]:
    name = path.relative_to(ROOT).as_posix()
    in_comment = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        starts, ends = "/*" in line, "*/" in line
        if in_comment or (starts and line.strip().startswith("/*")):
            in_comment = (in_comment or starts) and not ends
            continue
        if SKIP.search(line) or not line.startswith(" "):
            continue
        code = line.split("/*")[0]
        for pattern, new in CHANGES:
            for match in re.finditer(pattern, code):
                yield Mutant(name, number, line, replaced(line, match, new))
        if STATEMENT.match(code) and "return" not in code:
            yield Mutant(name, number, line, re.match(r"\s*", line)[0] + ";")  # type: ignore[index]


def replaced(line: str, match: re.Match[str], new: str) -> str:
    if new == "+1":
        new = str(int(match[1]) + 1)
    after = line[: match.start()] + new + line[match.end() :]
    if new == "if (!(":
        close = after.rfind(")")
        after = after[: close + 1] + ")" + after[close + 1 :]
    return after


def equivalent() -> set[tuple[str, str, str]]:
    file = ROOT / "scripts/mutate-equivalent.txt"
    if not file.exists():
        return set()
    rows = [line.split(" | ") for line in file.read_text(encoding="utf-8").splitlines()]
    return {(r[0].strip(), r[1].strip(), r[2].strip()) for r in rows if len(r) >= 4}


def run(command: list[str], where: Path, seconds: int) -> bool:
    try:
        return (
            subprocess.run(
                command, cwd=where, capture_output=True, timeout=seconds, check=False
            ).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False


def make_copy(folder: Path) -> Path:
    copy = Path(tempfile.mkdtemp(dir=folder)) / "tree"
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    ).stdout.splitlines()
    for name in files:
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    options = ["-Dpython=false", "-Dtests=true", "-Dshared_library=false", "-Dbuildtype=plain"]
    for command in (["meson", "setup", "b", *options], ["ninja", "-j1", "-C", "b"]):
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return copy


def tests_for(mutant: Mutant) -> tuple[str, ...]:
    return TESTS_OF_FOLDERS + TESTS if FOLDERS.search(mutant.path) else TESTS


def outcome(mutant: Mutant, copy: Path) -> str:
    """ "killed by TEST", "does not build" or "survived"."""
    path = copy / mutant.path
    original = path.read_text(encoding="utf-8")
    lines = original.splitlines()
    tests = tests_for(mutant)
    lines[mutant.line] = mutant.after
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        targets = [f"tests/c/test_{name}" for name in tests]
        if not run(["ninja", "-j1", "-C", "b", *targets], copy, 300):
            return "does not build"
        for name in tests:
            if not run(["meson", "test", "-C", "b", "--no-rebuild", name], copy, SECONDS):
                return f"killed by {name}"
        return "survived"
    finally:
        path.write_text(original, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true", help="the mutants, without trying them")
    asked = parser.parse_args()
    known = equivalent()
    mutants = [
        mutant
        for room in ROOMS
        for path in sorted((ROOT / room).glob("*.c"))
        for mutant in mutants_of(path)
        if mutant.path.startswith(asked.only)
        and (mutant.path, mutant.before.strip(), mutant.after.strip()) not in known
    ]
    random.Random(asked.seed).shuffle(mutants)
    chosen = mutants[: asked.n]
    print(f"{len(mutants)} possible, {len(chosen)} tried, seed {asked.seed}", flush=True)
    if asked.list:
        for mutant in chosen:
            print(f"{mutant.path}:{mutant.line + 1}: {mutant.after.strip()}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copies: Queue[Path] = Queue()
        for _ in range(asked.j):
            copies.put(make_copy(Path(folder)))

        def work(mutant: Mutant) -> tuple[Mutant, str]:
            copy = copies.get()
            try:
                return mutant, outcome(mutant, copy)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(asked.j) as pool:
            results = []
            for mutant, said in pool.map(work, chosen):
                results.append((mutant, said))
                if said == "survived":
                    place = f"{mutant.path}:{mutant.line + 1}"
                    print(f"survived {place}: {mutant.before.strip()}  ->  {mutant.after.strip()}")
                    sys.stdout.flush()
    report(results)
    return 0


def report(results: list[tuple[Mutant, str]]) -> None:
    print(f"{'room':<16} {'tried':>6} {'killed':>7} {'share':>7}")
    tried = [(m, said) for m, said in results if said != "does not build"]
    for room in (*ROOMS, ""):
        own = [said for m, said in tried if m.path.startswith(room)]
        killed = sum(said != "survived" for said in own)
        if own:
            print(f"{room or 'all':<16} {len(own):6} {killed:7} {killed / len(own):7.1%}")
    print(f"{len(results) - len(tried)} did not build and do not count")


if __name__ == "__main__":
    sys.exit(main())
