# SPDX-License-Identifier: Apache-2.0
"""kill -9 of launcher, program, worker and reader at random moments, thousands of times.

Every batch that had ended must be shown, exactly once; the command's code is its own; nothing stays
in /dev/shm. Prints one line of figures; ends with 1 when anything was wrong.

    python bench/kill_anything.py --target build-bench/bench/bench_kill_target --kills 10000
    python bench/kill_anything.py --torch --kills 300
"""

from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHM = Path("/dev/shm")
PR_SET_CHILD_SUBREAPER = 36
CODE = 7
WORDS_EACH = 2
#: The tmpfs folder folders whose first file may still come are left alone so long.
YOUNG_S = 30
PATIENCE_S = 60
#: torch's own workers look for their parent every five seconds.
ORPHAN_S = 15
VICTIMS = ("launcher", "program", "worker", "launcher and program", "all")


class Wrong(Exception):
    """Something that must not be."""


@dataclass
class Tally:
    rounds: int = 0
    batches: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    on_tmpfs: int = 0

    def line(self, seconds: float, left: int) -> str:
        kinds = ", ".join(f"{count} of {name}" for name, count in sorted(self.kills.items()))
        return (
            f"{sum(self.kills.values())} kills ({kinds}) in {self.rounds} runs, {self.on_tmpfs} of "
            f"them on tmpfs: {self.batches} batches shown, none lost, none twice; "
            f"{left} folders left in /dev/shm; {seconds:.0f} s"
        )


class Board:
    """What the processes of a command announced, in a file that outlives them."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(4096))
        self.path = path
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def word(self, process: int, word: int) -> int:
        value: int = struct.unpack_from("=Q", self.map, 8 * (process * WORDS_EACH + word))[0]
        return value

    def pids(self) -> list[int]:
        return [pid for process in range(3) if (pid := self.word(process, 0)) != 0]


def ticks(pid: int) -> str:
    """When the process began; "" when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


class Harness:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.runs = folder / "runs"
        self.random = random.Random(options.seed)
        self.tally = Tally()
        # What a killed launcher leaves behind is ours to wait for: so we learn its code.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    # ---- one run ----

    def command(self, board: Board) -> list[str]:
        batches, pause_us = self.random.choice([(1, 0), (40, 0), (300, 0), (60, 200), (20, 1000)])
        words = [str(board.path), str(batches), str(pause_us), str(CODE)]
        if self.options.torch:
            return [sys.executable, str(ROOT / "bench" / "kill_torch.py"), *words]
        return [self.options.target, *words]

    def datastall(self, *words: str) -> list[str]:
        return [self.options.program, *words]

    def environment(self, on_tmpfs: bool) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "DATASTALL" not in name}
        package = {"DATASTALL_PACKAGE_DIR": self.options.package} if self.options.package else {}
        on = {"DATASTALL_RECORD_ON": "tmpfs"} if on_tmpfs else {}
        return {**kept, **package, **on, "OMP_NUM_THREADS": "1"}

    def kill(self, name: str, pid: int) -> None:
        if ticks(pid) == "":
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended meanwhile
        self.tally.kills[name] += 1

    def strike(self, victim: str, launcher: int, board: Board) -> set[int]:
        """Kills; returns whom."""
        pids = board.pids()
        struck: dict[str, list[int]] = {
            "launcher": [launcher],
            "program": pids[:1],
            "worker": pids[1:2],
            "launcher and program": [launcher, *pids[:1]],
            "all": [launcher, *pids],
        }
        order = struck[victim]
        self.random.shuffle(order)
        for pid in order:
            self.kill(
                "launcher" if pid == launcher else "program" if pid in pids[:1] else "worker", pid
            )
        return set(order)

    def moment(self) -> float:
        """Seconds from the start of the launcher (torch: from the first batch on, or before)."""
        if self.options.torch:
            return self.random.choice([self.random.uniform(0, 0.4), self.random.uniform(0, 5)])
        return self.random.choice([self.random.uniform(0, 0.02), self.random.uniform(0, 0.12)])

    def wait_for_first(self, board: Board, launcher: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + PATIENCE_S
        while board.word(0, 1) == 0 and launcher.poll() is None and time.monotonic() < until:
            time.sleep(0.01)

    def collect(self, launcher: subprocess.Popen[bytes], board: Board) -> dict[int, int]:
        """Waits until nobody is left; the codes of those that were not killed."""
        codes: dict[int, int] = {}
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return codes
            if pid == 0:
                time.sleep(0.002)
            elif pid == launcher.pid:
                launcher.returncode = os.waitstatus_to_exitcode(status)
            codes[pid] = status
            if time.monotonic() > until - PATIENCE_S + ORPHAN_S:
                self.end_torch_orphans(launcher, board)
        raise Wrong(f"still there: {board.pids()}")

    def end_torch_orphans(self, launcher: subprocess.Popen[bytes], board: Board) -> None:
        """A worker whose parent died before the worker noted its pid waits for ever: torch's."""
        if not self.options.torch or any(ticks(pid) for pid in [launcher.pid, board.word(0, 0)]):
            return
        for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)

    def once(self) -> None:
        number = self.tally.rounds
        self.tally.rounds += 1
        on_tmpfs = number % 2 == 0
        self.tally.on_tmpfs += on_tmpfs
        board = Board(self.folder / "board")
        command = self.command(board)
        launcher = subprocess.Popen(
            self.datastall("run", "-q", "--dir", str(self.runs), *command),
            env=self.environment(on_tmpfs),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        if self.options.torch and self.random.random() < 0.7:
            self.wait_for_first(board, launcher)
        time.sleep(self.moment())
        struck = self.strike(self.random.choice(VICTIMS), launcher.pid, board)
        codes = self.collect(launcher, board)
        self.check_codes(launcher, struck, codes, board)
        self.check(board)
        shutil.rmtree(self.runs, ignore_errors=True)

    def check_codes(
        self,
        launcher: subprocess.Popen[bytes],
        struck: set[int],
        codes: dict[int, int],
        board: Board,
    ) -> None:
        """The command's code is its own, with a launcher and without."""
        program = board.word(0, 0)
        if program == 0 or (self.options.torch and struck & {*board.pids()[1:]}):
            return
        expected = CODE if program not in struck else -signal.SIGKILL
        if program in codes and os.waitstatus_to_exitcode(codes[program]) not in (expected, CODE):
            raise Wrong(f"the command ended with {codes[program]:#x}")
        ended = launcher.returncode
        if launcher.pid not in struck and ended not in (expected % 256, CODE, 128 - expected):
            raise Wrong(f"the launcher ended with {ended}, the command with {expected}")

    # ---- what is shown ----

    def read(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.datastall(*words, "--dir", str(self.runs)),
            env=self.environment(False),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def kill_a_reader(self) -> None:
        reader = subprocess.Popen(
            self.datastall("show", "--dir", str(self.runs)),
            env=self.environment(False),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(self.random.uniform(0, 0.02))
        self.kill("reader", reader.pid)
        reader.wait()

    def check(self, board: Board) -> None:
        if self.random.random() < 0.4:
            self.kill_a_reader()
        shown = self.read("show", "--json")
        ended = {board.word(p, 0): board.word(p, 1) for p in range(3) if board.word(p, 0)}
        if shown.returncode == 1 and not any(ended.values()):
            return  # it came to nothing
        if shown.returncode != 0:
            raise Wrong(f"show ended with {shown.returncode}: {shown.stderr}")
        run = json.loads(shown.stdout)
        if run["damage"]["problems"] != 0:
            raise Wrong(str(run["damage"]))
        loaders: dict[int, Any] = {}
        for loader in run["loaders"]:
            if loader["pid"] in loaders:
                raise Wrong(f"process {loader['pid']} is shown twice")
            loaders[loader["pid"]] = loader
        for place, (pid, done) in enumerate(ended.items()):
            if place == 0 or not self.options.torch:
                self.check_loader(pid, done, loaders.pop(pid, None))
        if loaders:
            raise Wrong(f"nobody announced {sorted(loaders)}")
        if run["run"]["recorded_in"] is not None:
            raise Wrong(f"it stays in {run['run']['recorded_in']}")

    def check_loader(self, pid: int, done: int, loader: dict[str, Any] | None) -> None:
        n = 0 if loader is None else loader["batches"]
        if n not in (done, done + 1):
            raise Wrong(f"process {pid} announced {done}, {n} are shown")
        self.tally.batches += n
        if loader is None or n == 0:
            return
        samples = 4 * n if self.options.torch else sum(i % 13 + 1 for i in range(n))
        tokens = None if self.options.torch else sum(100 * i + 7 for i in range(n))
        if loader["samples"] != samples or loader["tokens"] != tokens:
            raise Wrong(f"of {n} batches {loader['samples']} samples, {loader['tokens']} tokens")

    def nameless(self) -> set[str]:
        """Folders that were killed before their first note."""
        empty = set()
        for folder in SHM.glob("datastall-*"):
            try:
                empty |= set() if any(folder.iterdir()) else {folder.name}
            except OSError:
                continue
        return empty

    def left(self, before: set[str]) -> list[str]:
        mine = [*(self.nameless() - before)]
        for folder in SHM.glob("datastall-*"):
            for note in ("belongs-to", "coming-home"):
                try:
                    mine += [folder.name] if str(self.folder) in (folder / note).read_text() else []
                except OSError:
                    continue
        return mine

    # ---- all of them ----

    def run(self) -> int:
        begun = time.monotonic()
        nameless = self.nameless()
        while sum(self.tally.kills.values()) < self.options.kills:
            if time.monotonic() - begun > self.options.seconds:
                break
            try:
                self.once()
            except Wrong as wrong:
                print(f"run {self.tally.rounds}, seed {self.options.seed}: {wrong}")
                return 1
        # Folders that were killed in the making go when they are no longer young.
        self.runs.mkdir(exist_ok=True)
        self.read("ls")
        until = time.monotonic() + YOUNG_S + 5
        while self.left(nameless) and time.monotonic() < until:
            time.sleep(1)
            self.read("ls")
        left = self.left(nameless)
        print(self.tally.line(time.monotonic() - begun, len(left)))
        return 1 if left else 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=3600.0, help="no run begins after that")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--program", default=str(Path(sys.executable).parent / "datastall"))
    parser.add_argument("--package", help="the Python package beside another program")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--target", help="bench_kill_target")
    what.add_argument("--torch", action="store_true")
    return parser.parse_args(argv)


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="datastall-kills-"))
    try:
        return Harness(parse(sys.argv[1:]), folder).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
