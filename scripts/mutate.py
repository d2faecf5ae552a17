# SPDX-License-Identifier: Apache-2.0
"""Changes the code in small ways, one at a time, and says which changes no C test notices.

    python scripts/mutate.py [-n 200] [-j 2] [--seed 1] [--only src/diagnose]
        [--quick] [--log FILE] [--list]

Takes `n` places at random from src/diagnose, src/stats, src/runfile and src/run (a comparison
turned round, a sum made a difference, a limit moved by one, a condition negated, a statement left
out), builds each changed tree in a copy with the address and undefined behaviour sanitizers, so
that a leak or a read beyond the end is noticed, and runs the C tests that reach the file, quick
ones first. A line per change as it is tried; at the end a table per room and the survivors.
Not part of `make test`: a mutant takes seconds where a quick test notices it, minutes where none
does. With --log, what an earlier run with the same seed has tried is not tried again.

Tests run in a mount and a PID namespace of their own where that is allowed (else they share
/dev/shm with whoever else is on the machine).

A change that scripts/mutate-equivalent.txt lists (path | line | changed line | why) is not tried:
no test can tell.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]
ROOMS = ("src/diagnose", "src/stats", "src/runfile", "src/run")
#: In the order in which they are tried: a mutant is dead at its first failure. What is built and
#: linked for a test that is not needed any more was for nothing, so they come in groups.
MEANING = (
    ["diagnose", "devices", "why", "why_sentences", "sentences", "run_state", "job", "machine"],
    ["job_parts", "batch_costs", "predict", "settings"],
    ["series", "steps_meaning", "compare", "ratio", "cost", "stretches", "card", "text"],
    ["openmetrics", "screen", "admission"],
)
FIGURES = [
    "figures",
    "totals",
    "gpu_writer",
    "counters",
    "cause",
    "histogram",
    "format",
    "layout",
    "null",
]
RECORDING = (
    ["view", "moving", "record", "impossible", "activity", "handles", "gpu_monitor", "stall"],
    ["feed", "limits", "rollup", "full_disk", "stopped_writer", "fork"],
)
FOLDERS = ["folders", "home", "whole_runs", "entries", "reading", "steps", "rundir", "faults"]
AFTER_ALL = (["kill9", "readers", "threads"], ["hostile"])
#: By the beginning of a path, the first that fits.
TESTS: dict[str, tuple[list[str], ...]] = {
    "src/diagnose/": MEANING,
    "src/stats/": (FIGURES, *MEANING, *RECORDING, *AFTER_ALL),
    "src/runfile/tmpfs": (FOLDERS, ["tmpfs"], ["handles", "feed"]),
    "src/runfile/homecoming": (FOLDERS, ["tmpfs"], ["handles", "feed"]),
    "src/runfile/rundir": (FOLDERS, ["tmpfs"], ["handles", "feed"]),
    "src/runfile/liveness": (FOLDERS, ["tmpfs"], ["handles", "feed"]),
    "src/runfile/gpu": (FIGURES, *RECORDING, MEANING[-1], ["sampler"]),
    "src/runfile/": (FIGURES, *RECORDING, MEANING[-1], FOLDERS, *AFTER_ALL),
    "src/run/reader": (FOLDERS, FIGURES, MEANING[-1], *RECORDING, *AFTER_ALL),
    "src/run/": (FOLDERS, ["tmpfs"], FIGURES, MEANING[-1], ["readers"], ["hostile"]),
}
#: Tests of seconds: left out with --quick.
SLOW = {"tmpfs", "rundir", "kill9", "readers", "threads", "sampler", "hostile", "rollup", "fork"}
SLOW |= {"stopped_writer", "feed", "screen"}
#: What is random or long in a test is kept short.
SHORT = {"DATASTALL_TEST_SECONDS": "2", "DATASTALL_TEST_STRIDE": "256"}
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=23",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=0",
}
SECONDS = 120
SKIPPED = 77
APART = ["unshare", "-mpf", "--mount-proc", "--kill-child", "sh", "-c"]
APART += ['mount -t tmpfs none /dev/shm && "$@"; exit $?', "sh"]
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
                after = replaced(line, match, new)
                if not is_the_same(line, after):
                    yield Mutant(name, number, line, after)
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


#: Names of nought.
NOUGHT = re.compile(
    r"\breturn (NULL|false|0\.0|DATASTALL_OK|SUMMARY_RUNNING|SUMMARY_LAUNCHER_NONE|RF_DEAD|"
    r"RF_VIEW_OK|PROC_SILENT|CHECK_HOLDS);"
)


#: The less or more of two: of equals either.
EXTREME = re.compile(r"([^=?(]+?) ([<>])=? ([^?]+?) \? \1 : \3\b")


def is_the_same(before: str, after: str) -> bool:
    before = EXTREME.sub(r"\1 \2 \3 ? \1 : \3", NOUGHT.sub("return 0;", before))
    return before in (after, EXTREME.sub(r"\1 \2 \3 ? \1 : \3", after))


def equivalent() -> set[tuple[str, str, str]]:
    file = ROOT / "scripts/mutate-equivalent.txt"
    if not file.exists():
        return set()
    rows = [line.split(" | ") for line in file.read_text(encoding="utf-8").splitlines()]
    return {(r[0].strip(), r[1].strip(), r[2].strip()) for r in rows if len(r) >= 4}


@dataclass(frozen=True)
class Test:
    command: list[str]
    environment: dict[str, str]


class Tree:
    """A built copy of the tree."""

    def __init__(self, folder: Path) -> None:
        self.path = Path(tempfile.mkdtemp(dir=folder)) / "tree"
        self.path.mkdir()
        self.tmp = self.path / "tmp"
        self.tmp.mkdir()
        self.tests: dict[str, Test] = {}

    def make(self) -> None:
        files = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for name in files:
            if (ROOT / name).is_file():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.path / name)
        options = (
            "-Dpython=false -Dtests=true -Dshared_library=false -Db_sanitize=address,undefined"
        )
        options += " -Dc_link_args=-fuse-ld=gold" if shutil.which("ld.gold") else ""
        options += " -Db_lundef=false -Dbuildtype=plain -Doptimization=1"
        for command in (["meson", "setup", "b", *options.split()], ["ninja", "-j2", "-C", "b"]):
            done = subprocess.run(command, cwd=self.path, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        said = subprocess.run(
            ["meson", "introspect", "--tests", "b"],
            cwd=self.path,
            capture_output=True,
            text=True,
            check=True,
        )
        for test in json.loads(said.stdout):
            self.tests[test["name"]] = Test(test["cmd"], test["env"])

    def passes(self, name: str, apart: bool) -> bool:
        test = self.tests[name]
        environment = {**os.environ, **SHORT, **SANITIZERS, **test.environment}
        environment["TMPDIR"] = str(self.tmp)
        ends = run(
            [*(APART if apart else []), *test.command], self.path / "b", environment, SECONDS
        )
        return ends in (0, SKIPPED)

    def builds(self, names: list[str]) -> bool:
        targets = [f"tests/c/test_{name}" for name in names]
        return run(["ninja", "-j1", "-C", "b", *targets], self.path, dict(os.environ), 600) == 0


def run(command: list[str], where: Path, environment: dict[str, str], seconds: int) -> int:
    """The exit status; -1 where it took too long, and is gone with all that it started."""
    with subprocess.Popen(
        command,
        cwd=where,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return -1


def groups_for(path: str) -> tuple[list[str], ...]:
    return next(groups for start, groups in TESTS.items() if path.startswith(start))


def failing(tree: Tree, chosen: list[Mutant], without: set[str], apart: bool) -> set[str]:
    """Tests that fail as the tree is: they would kill everything."""
    paths = {mutant.path for mutant in chosen}
    names = {name for path in paths for group in groups_for(path) for name in group}
    names -= without
    return {name for name in sorted(names) if not tree.passes(name, apart)}


def outcome(mutant: Mutant, tree: Tree, without: set[str], apart: bool) -> str:
    """ "killed by TEST", "does not build" or "survived"."""
    path = tree.path / mutant.path
    original = path.read_text(encoding="utf-8")
    lines = original.splitlines()
    lines[mutant.line] = mutant.after
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        for group in groups_for(mutant.path):
            names = [name for name in group if name not in without]
            if not tree.builds(names):
                return "does not build"
            for name in names:
                if not tree.passes(name, apart):
                    return f"killed by {name}"
        return "survived"
    finally:
        path.write_text(original, encoding="utf-8")
        shutil.rmtree(tree.tmp, ignore_errors=True)
        tree.tmp.mkdir(exist_ok=True)


def line_of(mutant: Mutant, said: str) -> str:
    place = f"{mutant.path}:{mutant.line + 1}"
    return f"{said} | {place} | {mutant.before.strip()} | {mutant.after.strip()}"


def tried_before(log: Path | None) -> dict[str, str]:
    """What a log says: outcomes by the rest of their lines."""
    if log is None or not log.exists():
        return {}
    lines = [line.split(" | ", 1) for line in log.read_text(encoding="utf-8").splitlines()]
    return {rest[0]: said for said, *rest in lines if rest}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true", help="without the tests of seconds")
    parser.add_argument("--log", type=Path, help="takes a line per change, and is gone on with")
    parser.add_argument("--list", action="store_true", help="the mutants, without trying them")
    asked = parser.parse_args()
    known = equivalent()
    mutants = [
        mutant
        for room in ROOMS
        for path in sorted((ROOT / room).glob("*.c"))
        for mutant in mutants_of(path)
        if mutant.path.startswith(asked.only)
    ]
    # What is known to change nothing is taken out afterwards, so that one more is no other sample.
    random.Random(asked.seed).shuffle(mutants)
    mutants = [
        mutant
        for mutant in mutants
        if (mutant.path, mutant.before.strip(), mutant.after.strip()) not in known
    ]
    chosen = mutants[: asked.n]
    print(f"{len(mutants)} possible, {len(chosen)} tried, seed {asked.seed}", flush=True)
    if asked.list:
        for mutant in chosen:
            print(f"{mutant.path}:{mutant.line + 1}: {mutant.after.strip()}")
        return 0
    report(tried(chosen, asked.j, asked.log, asked.quick))
    return 0


def tried(
    chosen: list[Mutant], jobs: int, log: Path | None, quick: bool
) -> list[tuple[Mutant, str]]:
    before = tried_before(log)
    results: list[tuple[Mutant, str]] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        file = stack.enter_context(log.open("a", encoding="utf-8")) if log else None
        apart = subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0
        made = [Tree(Path(folder)) for _ in range(jobs)]
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(Tree.make, made))
        trees: Queue[Tree] = Queue()
        for tree in made:
            trees.put(tree)
        without = set(SLOW) if quick else set()
        bad = failing(tree, chosen, without, apart)
        if bad:
            print(f"fail as the tree is, and are left out: {' '.join(sorted(bad))}", flush=True)
        without |= bad

        def work(mutant: Mutant) -> tuple[Mutant, str]:
            said = before.get(line_of(mutant, "").split(" | ", 1)[1])
            if said is not None:
                return mutant, said
            tree = trees.get()
            try:
                return mutant, outcome(mutant, tree, without, apart)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(jobs) as pool:
            for future in as_completed([pool.submit(work, mutant) for mutant in chosen]):
                mutant, said = future.result()
                results.append((mutant, said))
                line = line_of(mutant, said)
                print(f"{len(results)}/{len(chosen)} {line}", flush=True)
                if file is not None and line.split(" | ", 1)[1] not in before:
                    print(line, file=file, flush=True)
    return results


def report(results: list[tuple[Mutant, str]]) -> None:
    for mutant, said in results:
        if said == "survived":
            print(line_of(mutant, said))
    print(f"{'room':<16} {'tried':>6} {'killed':>7} {'share':>7}")
    tried = [(m, said) for m, said in results if said != "does not build"]
    for room in (*ROOMS, ""):
        own = [said for m, said in tried if m.path.startswith(f"{room}/" if room else "")]
        killed = sum(said != "survived" for said in own)
        if own:
            print(f"{room or 'all':<16} {len(own):6} {killed:7} {killed / len(own):7.1%}")
    print(f"{len(results) - len(tried)} did not build and do not count")


if __name__ == "__main__":
    sys.exit(main())
