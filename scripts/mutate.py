# SPDX-License-Identifier: Apache-2.0
"""Changes the code in small ways, one at a time, and says which changes no C test notices.

    python scripts/mutate.py [-n 200] [-j 2] [--seed 1] [--only src/diagnose]
        [--work DIR] [--quick] [--log FILE] [--again LOG] [--list] [--check] [--unreached]

Takes `n` places at random from src/diagnose, src/stats, src/runfile and src/run (a comparison
turned round, a sum made a difference, a limit moved by one, a condition negated, a statement left
out; one of nanoseconds by a million) and runs the C tests that reach the line, quickest first: once
as they are built quickest, and, where none notices, with the address and undefined behaviour
sanitizers, so that a leak or a read beyond the end is noticed. Which tests reach which line is
found out before, by gcov; a line that none reaches survives without a try (--unreached lists them
all). A line per change as it is tried;
at the end a table per room and the survivors.

Not part of `make test`: the builds, in which all changes are at once (mutants.py), take some
minutes, and then a change takes a second or two, one that no test notices half a minute. With
--work, they are kept for the next run; with
--log, what an earlier run with the same seed has tried is not tried again. --again LOG tries the
survivors of such a log, instead of a sample: what tests written since do not notice either.

Tests run in a mount and a PID namespace of their own where that is allowed (else they share
/dev/shm with whoever else is on the machine).

A change that scripts/mutate-equivalent.txt lists (path | function | line | changed line | why) is
not tried: no test can tell. Rows that match no change are
named at the start of a run; --check does only that, and fails where there is one.
"""

from __future__ import annotations

import argparse
import bisect
import difflib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mutants import ROOT, Mutant, equivalent, functions_of, mutants_of, with_all

ROOMS = ("src/diagnose", "src/stats", "src/runfile", "src/run")
#: Tests of seconds: left out with --quick.
SLOW_SECONDS = 3.0
#: What is random or long in a test is kept short.
SHORT = {"DATASTALL_TEST_SECONDS": "2", "DATASTALL_TEST_STRIDE": "256"}
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=23",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=0",
}
SKIPPED = 77
APART = ["unshare", "-mpf", "--mount-proc", "--kill-child", "sh", "-c"]
APART += ['mount -t tmpfs none /dev/shm && "$@"; exit $?', "sh"]
OPTIONS = ["-Dpython=false", "-Dtests=true", "-Dshared_library=false", "-Db_lundef=false"]
OPTIONS += ["-Dbuildtype=plain"]
LINKER = ["-fuse-ld=gold"] if shutil.which("ld.gold") else []
#: What a forked child has reached is written down when it leaves as well; not of one that is
#: traced, which is stopped while it has the files locked.
FLUSH = """
#include <stdio.h>
#include <string.h>
void __gcov_dump(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
static int is_traced(void)
{
    char line[256];
    int traced = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        traced |= strncmp(line, "TracerPid:", 10) == 0 && strcmp(line + 10, "\\t0\\n") != 0;
    if (file != NULL)
        fclose(file);
    return traced;
}
void __wrap__exit(int status)
{
    if (!is_traced())
        __gcov_dump();
    __real__exit(status);
}
"""


@dataclass(frozen=True)
class Test:
    command: list[str]
    environment: dict[str, str]


class Tree:
    """A copy of the tree that is built on demand, and stays as it is where it was there before."""

    def __init__(self, path: Path, options: list[str], optimization: int, apart: bool) -> None:
        self.path, self.apart = path, apart
        path.mkdir(parents=True, exist_ok=True)
        self.take_files()
        if not (path / "b/build.ninja").exists():
            shutil.rmtree(path / "b", ignore_errors=True)
            self.do(["meson", "setup", "b", *OPTIONS, *options, f"-Doptimization={optimization}"])
        self.do(["ninja", "-C", "b", "build.ninja"])
        said = self.do(["meson", "introspect", "--tests", "b"])
        self.tests = {
            test["name"]: Test(test["cmd"], test["env"])
            for test in json.loads(said)
            if test["cmd"][0].endswith(f"/test_{test['name']}")
        }

    def do(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def take_files(self) -> None:
        """Those that differ: what was built of the others is still good."""
        command = ["git", "ls-files", "-co", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        for name in names.stdout.splitlines():
            source, own = ROOT / name, self.path / name
            if not source.is_file():
                own.unlink(missing_ok=True)
            elif not own.exists() or own.read_bytes() != source.read_bytes():
                own.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, own)

    def builds(self, names: list[str], jobs: int) -> bool:
        """With the libraries that a test is told of: those are its arguments."""
        built = self.path / "b"
        words = [word for name in names for word in self.tests[name].command if "/" in word]
        paths = [Path(os.path.normpath(built / word)) for word in words]
        targets = {str(path.relative_to(built)) for path in paths if path.is_relative_to(built)}
        command = ["ninja", f"-j{jobs}", "-C", "b", *sorted(targets)]
        return run(command, self.path, dict(os.environ), 3600) == 0

    def passes(self, name: str, seconds: float, mutant: int = 0) -> bool:
        test = self.tests[name]
        tmp = self.path / f"tmp-{mutant}"
        tmp.mkdir(exist_ok=True)
        environment = {**os.environ, **SHORT, **SANITIZERS, **test.environment}
        environment.update(TMPDIR=str(tmp), DATASTALL_MUTANT=str(mutant))
        command = [*(APART if self.apart else []), *test.command]
        try:
            return run(command, self.path / "b", environment, seconds) in (0, SKIPPED)
        finally:
            shutil.rmtree(tmp, ignore_errors=True)


class Changed(Tree):
    """A tree with all of the mutants, by their numbers."""

    def __init__(
        self, path: Path, options: list[str], optimization: int, apart: bool, jobs: int
    ) -> None:
        super().__init__(path, options, optimization, apart)
        self.jobs = jobs
        self.does_not_build: set[int] = set()
        self.seconds: dict[str, float] = {}
        said = self.do(["ninja", "-C", "b", "-t", "compdb"])
        self.commands = {
            one["file"].removeprefix("../"): one["command"] for one in json.loads(said)
        }

    def take(self, mutants: dict[int, Mutant], names: list[str]) -> None:
        """Builds them; of the tests, those that pass as the tree is: the others would kill all."""
        by_path: dict[str, dict[int, Mutant]] = {}
        for number, mutant in mutants.items():
            by_path.setdefault(mutant.path, {})[number] = mutant
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(lambda path: self.write(path, by_path[path]), by_path))
        if not self.builds(names, self.jobs):
            sys.exit(f"{self.path}: it does not build")
        for name in names:
            begin = time.monotonic()
            if self.passes(name, 300):
                self.seconds[name] = time.monotonic() - begin
            else:
                print(f"{name} fails in {self.path.name} as the tree is, and is left out")

    def write(self, path: str, own: dict[int, Mutant]) -> None:
        """Without those that do not build. Where one's error is of another one's line, both fall
        under suspicion, and each is tried alone."""
        text = (ROOT / path).read_text(encoding="utf-8")
        own = dict(own)
        while True:
            changed, owners = with_all(text, own)
            self.put(path, changed)
            errors = self.errors(path)
            if not errors:
                return
            bad = set()
            for number in {owners[line - 1] for line in errors} - {0}:
                self.put(path, with_all(text, {number: own[number]})[0])
                if self.errors(path):
                    bad.add(number)
            if not bad:
                sys.exit(f"{path}: it does not compile with all mutants, but with each alone")
            self.does_not_build |= bad
            own = {number: mutant for number, mutant in own.items() if number not in bad}

    def put(self, path: str, text: str) -> None:
        (self.path / path).write_text(text, encoding="utf-8")

    def errors(self, path: str) -> list[int]:
        """Lines that the compiler refuses."""
        command = re.sub(r" -o \S+| -M[QF] \S+| -MD", "", self.commands[path])
        command += " -fsyntax-only -w -fmax-errors=0 -fdiagnostics-color=never"
        done = subprocess.run(
            command, cwd=self.path / "b", shell=True, capture_output=True, text=True, check=False
        )
        places = re.findall(rf"{re.escape(path)}:(\d+):\d+: error", done.stderr)
        if done.returncode != 0 and not places:
            sys.exit(f"{command}: {done.stderr[-2000:]}")
        return [int(line) for line in places]

    def killer(self, number: int, names: set[str]) -> str | None:
        """The first test that notices."""
        sound = sorted(names & set(self.seconds), key=lambda name: self.seconds[name])
        for name in sound:
            if not self.passes(name, 10 + 10 * self.seconds[name], number):
                return name
        return None


def run(command: list[str], where: Path, environment: dict[str, str], seconds: float) -> int:
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


# ---- which tests reach a line ----


@dataclass
class Reach:
    #: By path and line (from 0): the tests that come there; lines without code are not there.
    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    def of(self, mutant: Mutant) -> set[str]:
        """A line that is part of a longer statement goes with its neighbours."""
        own = self.lines.get(mutant.path, {})
        numbers = sorted(own)
        at = bisect.bisect_left(numbers, mutant.line)
        near = numbers[at : at + 1]
        if near != [mutant.line]:
            near = numbers[max(0, at - 1) : at + 1]
        return {name for line in near for name in own[line]}


def find_reach(work: Path, apart: bool, names: set[str], reach: Reach) -> None:
    """Runs tests once, and asks gcov where they came."""
    flush = work / "flush.c"
    flush.write_text(FLUSH, encoding="utf-8")
    subprocess.run(["gcc", "-c", flush, "-o", work / "flush.o"], check=True)
    link = ["--coverage", "-Wl,--wrap=_exit", str(work / "flush.o"), *LINKER]
    # A list in meson's words: with commas in an argument it is not split at them.
    options = ["-Dc_args=--coverage", "-Dc_link_args=" + str(link)]
    tree = Tree(work / "coverage", options, 0, apart)
    names = names & set(tree.tests)  # one of them needs the shared library
    if not tree.builds(sorted(names), os.cpu_count() or 2):
        sys.exit(f"{tree.path}: it does not build")
    for name in sorted(names):
        for old in (tree.path / "b").rglob("*.gcda"):
            old.unlink()
        begin = time.monotonic()
        if not tree.passes(name, 900):
            print(f"{name} fails as the tree is, and is left out", flush=True)
            continue
        reach.seconds[name] = time.monotonic() - begin
        add_lines(tree.path / "b", name, reach)


def add_lines(build: Path, name: str, reach: Reach) -> None:
    files = [
        str(file.relative_to(build))
        for room in ROOMS
        for file in (build / "src").rglob(f"{room.removeprefix('src/')}_*.gcda")
    ]
    if not files:
        return
    command = ["gcov", "--json-format", "--stdout", *files]
    said = subprocess.run(command, cwd=build, capture_output=True, text=True, check=True)
    for text in said.stdout.splitlines():
        for file in json.loads(text)["files"]:
            path = file["file"].removeprefix("../")
            if not path.startswith(ROOMS) or not path.endswith(".c"):
                continue
            lines = reach.lines.setdefault(path, {})
            for line in file["lines"]:
                tests = lines.setdefault(line["line_number"] - 1, [])
                if line["count"] > 0 and name not in tests:
                    tests.append(name)


def moved(lines: dict[int, list[str]], before: str, now: str) -> dict[int, list[str]]:
    """Lines of a file that was changed since: those that stayed as they were."""
    matcher = difflib.SequenceMatcher(None, before.splitlines(), now.splitlines(), autojunk=False)
    return {
        line - block.a + block.b: tests
        for block in matcher.get_matching_blocks()
        for line, tests in lines.items()
        if block.a <= line < block.a + block.size
    }


def reach_of(work: Path, files: list[Path], apart: bool) -> Reach:
    """As an earlier run found it; tests that changed since are run again. What is
    not known of a changed line makes survivors, never kills; without reach.json all is new."""
    file = work / "reach.json"
    now = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    tests = {
        path.stem.removeprefix("test_"): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (ROOT / "tests/c").glob("test_*.c")
    }
    reach, fresh = Reach({}, {}), set(tests)
    if file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
        fresh = {name for name in tests if kept["tests"].get(name) != tests[name]}
        for path, own in kept["lines"].items():
            lines = {
                int(line): [name for name in names if name in tests and name not in fresh]
                for line, names in own.items()
            }
            if path in now:
                reach.lines[path] = moved(lines, kept["sources"][path], now[path])
        reach.seconds = kept["seconds"]
    if fresh:
        print(f"where do {len(fresh)} tests come?", flush=True)
        find_reach(work, apart, fresh, reach)
    known = {"tests": tests, "sources": now, "lines": reach.lines, "seconds": reach.seconds}
    file.write_text(json.dumps(known), encoding="utf-8")
    return reach


# ---- a run ----


def named(mutant: Mutant) -> str:
    place = f"{mutant.path}:{mutant.line + 1} {mutant.function}"
    return f"{place} | {mutant.before.strip()} | {mutant.after.strip()}"


def line_of(mutant: Mutant, said: str) -> str:
    return f"{said} | {named(mutant)}"


def tried_before(log: Path | None) -> dict[str, str]:
    """What a log says: outcomes by the rest of their lines."""
    if log is None or not log.exists():
        return {}
    lines = [line.split(" | ", 1) for line in log.read_text(encoding="utf-8").splitlines()]
    return {rest[0]: said for said, *rest in lines if rest}


def survivors_in(log: Path) -> set[tuple[str, str, str]]:
    """(path, line, changed line) of those that are in a log."""
    rows = [line.split(" | ") for line in log.read_text(encoding="utf-8").splitlines()]
    survived = [row for row in rows if row[0].startswith("survived") and len(row) == 4]
    return {(where.split(":")[0], before, after) for _, where, before, after in survived}


def stale_rows(mutants: list[Mutant]) -> bool:
    possible = {mutant.key for mutant in mutants}
    rows = equivalent()
    stale = [row for row in rows if row not in possible]
    twice = [row for number, row in enumerate(rows) if row in rows[:number]]
    for what, found in (("matches nothing", stale), ("is there twice", twice)):
        for row in found:
            print(f"scripts/mutate-equivalent.txt: {what}: {' | '.join(row)}")
    return bool(stale or twice)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--work", type=Path, help="keeps what is built, for the next run")
    parser.add_argument("--quick", action="store_true", help="without the tests of seconds")
    parser.add_argument("--log", type=Path, help="takes a line per change, and is gone on with")
    parser.add_argument("--again", type=Path, help="only what survived in this log")
    parser.add_argument("--list", action="store_true", help="the mutants, without trying them")
    parser.add_argument("--check", action="store_true", help="only the rows that match nothing")
    parser.add_argument("--unreached", action="store_true", help="only the lines no test reaches")
    asked = parser.parse_args()
    files = [path for room in ROOMS for path in sorted((ROOT / room).glob("*.c"))]
    mutants = [mutant for path in files for mutant in mutants_of(path)]
    stale = stale_rows(mutants)
    if asked.check:
        return 1 if stale else 0
    mutants = [mutant for mutant in mutants if mutant.path.startswith(asked.only)]
    # What is known to change nothing is taken out afterwards, so that one more is no other sample.
    random.Random(asked.seed).shuffle(mutants)
    known = set(equivalent())
    mutants = [mutant for mutant in mutants if mutant.key not in known]
    if asked.again is not None:
        again = survivors_in(asked.again)
        mutants = [mutant for mutant in mutants if (mutant.path, *mutant.key[2:]) in again]
    chosen = mutants[: asked.n]
    if asked.list:
        for mutant in chosen:
            print(line_of(mutant, "possible"))
        return 0
    apart = subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0
    with ExitStack() as stack:
        work = asked.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work = work.resolve()
        work.mkdir(parents=True, exist_ok=True)
        reach = reach_of(work, files, apart)
        if asked.unreached:
            print_unreached(reach, asked.only)
            return 0
        print(f"{len(mutants)} possible, {len(chosen)} tried, seed {asked.seed}", flush=True)
        if asked.quick:
            slow = {name for name, seconds in reach.seconds.items() if seconds > SLOW_SECONDS}
            for own in reach.lines.values():
                for tests in own.values():
                    tests[:] = [name for name in tests if name not in slow]
        report(tried(chosen, asked.j, asked.log, work, reach, apart))
    return 0


def print_unreached(reach: Reach, only: str) -> None:
    for path in sorted(reach.lines):
        text = (ROOT / path).read_text(encoding="utf-8").splitlines()
        functions = functions_of(text)
        for number, tests in sorted(reach.lines[path].items()):
            if not tests and path.startswith(only):
                print(f"{path}:{number + 1} {functions[number]} | {text[number].strip()}")


def tried(
    chosen: list[Mutant], jobs: int, log: Path | None, work: Path, reach: Reach, apart: bool
) -> list[tuple[Mutant, str]]:
    """What no test notices in a tree that is built quickly is tried in one that notices more."""
    before = tried_before(log)
    numbers = dict(enumerate(chosen, 1))
    said = {number: before.get(named(mutant), "") for number, mutant in numbers.items()}
    for number, mutant in numbers.items():
        if not said[number] and not reach.of(mutant):
            said[number] = "survived (no test reaches it)"
    count = sum(bool(text) for text in said.values())
    link = "-Dc_link_args=" + " ".join(LINKER)
    with ExitStack() as stack:
        file = stack.enter_context(log.open("a", encoding="utf-8")) if log else None

        def note(number: int, text: str) -> None:
            nonlocal count
            said[number] = text
            count += 1
            line = line_of(numbers[number], text)
            print(f"{count}/{len(chosen)} {line}", flush=True)
            if file is not None:
                print(line, file=file, flush=True)

        for last, path, options, optimization in (
            (False, work / "quick", [link], 0),
            (True, work / "sanitized", [link, "-Db_sanitize=address,undefined"], 1),
        ):
            own = {number: mutant for number, mutant in numbers.items() if not said[number]}
            if not own:
                break
            tree = Changed(path, options, optimization, apart, os.cpu_count() or 2)
            names = {name for mutant in own.values() for name in reach.of(mutant)}
            tree.take(own, sorted(names & set(tree.tests)))
            for number in tree.does_not_build:
                note(number, "does not build")
            with ThreadPoolExecutor(jobs) as pool:
                futures = {
                    pool.submit(tree.killer, number, reach.of(mutant)): number
                    for number, mutant in own.items()
                    if number not in tree.does_not_build
                }
                for future in as_completed(futures):
                    killer = future.result()
                    if killer is not None:
                        note(futures[future], f"killed by {killer}")
                    elif last:
                        note(futures[future], "survived")
    return [(mutant, said[number]) for number, mutant in numbers.items()]


def report(results: list[tuple[Mutant, str]]) -> None:
    for mutant, said in results:
        if said.startswith("survived"):
            print(line_of(mutant, said))
    print(f"{'room':<16} {'tried':>6} {'killed':>7} {'share':>7}")
    tried = [(m, said) for m, said in results if said != "does not build"]
    for room in (*ROOMS, ""):
        own = [said for m, said in tried if m.path.startswith(f"{room}/" if room else "")]
        killed = sum(not said.startswith("survived") for said in own)
        if own:
            print(f"{room or 'all':<16} {len(own):6} {killed:7} {killed / len(own):7.1%}")
    print(f"{len(results) - len(tried)} did not build and do not count")


if __name__ == "__main__":
    sys.exit(main())
