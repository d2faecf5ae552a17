# SPDX-License-Identifier: Apache-2.0
"""kill -9 of `datastall run`: the command goes on, its code is its own, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live import parse, serving, until, value
from support import (
    DATASTALL,
    PYTHON,
    Ended,
    command,
    datastall,
    finish,
    only,
    run_folders,
    shown,
    shown_text,
    start,
    write,
)

#: Takes batches until the file `enough` is there, then ends with a code of its own.
PROGRAM = """
import os, pathlib, sys, time
import datastall
def numbers():
    number = 0
    while not os.path.exists("enough"):
        time.sleep(0.002)
        number += 1
        yield number
total = 0
for number in datastall.watch(numbers(), name="numbers", measure=lambda number: number):
    total += 1
    if number == 20:
        pathlib.Path("begun").touch()
pathlib.Path("total").write_text(str(total))
sys.exit(7)
"""
PLACES = pytest.mark.parametrize("record_on", ["", "tmpfs"])


class Orphan:
    """A command whose launcher was killed while it recorded."""

    def __init__(self, folder: Path, record_on: str, *words: str) -> None:
        self.folder = folder
        write(folder, "prog.py", PROGRAM)
        argv = words or (PYTHON, "prog.py")
        extra = {"DATASTALL_RECORD_ON": record_on}
        self.launcher = start([DATASTALL, "run", *argv], folder, extra)
        until("it records", (folder / "begun").exists, 60)
        self.home = only(run_folders(folder))
        note = self.home / "recording-at"
        self.tmpfs = Path(note.read_text().strip()) if record_on else None
        self.pids = [process["pid"] for process in shown(folder)["processes"]]
        self.launcher.kill()
        # Its children hold the pipes, so this does not wait for them.
        self.launcher.wait()

    def end(self) -> int:
        """Lets the command end; returns how many batches it counted itself."""
        (self.folder / "enough").touch()
        total = self.folder / "total"
        until("it ended", lambda: total.exists() and total.read_text() != "", 60)
        until("it is gone", lambda: not any(alive(pid) for pid in self.pids), 60)
        return int(total.read_text())

    def kill(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        until("it is gone", lambda: not any(alive(pid) for pid in self.pids), 60)
        # What stands for the program in the command (tests/python/warm) is told, and goes as well.
        until("nobody is left", lambda: not has_members(self.launcher.pid), 60)

    def collect(self) -> Ended:
        ended = finish(self.launcher)
        assert ended.code == -signal.SIGKILL
        return ended

    def assert_at_home(self) -> None:
        assert self.tmpfs is None or not self.tmpfs.exists()
        assert sorted(path.suffix for path in self.home.iterdir() if path.stat().st_size > 99) == [
            ".dsrun",
            ".dsrun",
        ]
        assert not (self.home / "recording-at").exists()


def has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def alive(pid: int) -> bool:
    """Also one whose main thread has ended before the others, as one that was killed may be."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX" or int(fields[17]) > 1


def state(folder: Path) -> tuple[str, str, int | None]:
    run = shown(folder)["run"]
    return run["state"], run["launcher"], run["exit_status"]


@PLACES
def test_the_command_goes_on(tmp_path: Path, record_on: str) -> None:
    orphan = Orphan(tmp_path, record_on, "sh", "-c", f"{PYTHON} prog.py; echo $? > code")
    run = shown(tmp_path)
    assert (run["run"]["state"], run["run"]["launcher"]) == ("running", "died")
    assert run["run"]["exit_status"] is None
    assert only(run["processes"])["state"] == "running"
    assert run["run"]["recorded_in"] == (str(orphan.tmpfs) if record_on else None)
    sentence = (
        "launcher (datastall run) died, so the exit code is unknown; the command is still running"
    )
    for text in (
        shown_text(tmp_path),
        datastall("ls", folder=tmp_path).out,
        run["run"]["launcher_text"],
    ):
        assert sentence in text
    # A narrow screen cuts it.
    topped = datastall("top", "--once", "--dir", "datastall-runs", folder=tmp_path).out
    assert "the launcher (datastall run) died" in topped
    if orphan.tmpfs is not None:
        assert str(orphan.tmpfs) in shown_text(tmp_path)
        assert str(orphan.tmpfs) in datastall("ls", folder=tmp_path).out
    total = orphan.end()
    until("it wrote its code", lambda: (tmp_path / "code").exists(), 60)
    until("it wrote its code", lambda: (tmp_path / "code").read_text() != "", 60)
    assert int((tmp_path / "code").read_text()) == 7
    assert orphan.collect().err == ""
    until("the shell is gone", lambda: state(tmp_path)[0] == "ended", 60)
    run = shown(tmp_path)
    assert (run["run"]["launcher"], run["run"]["exit_status"]) == ("died", None)
    assert only(run["processes"])["state"] == "ended"
    assert only(run["loaders"])["batches"] == total
    assert only(run["loaders"])["samples"] == total * (total + 1) // 2
    assert run["damage"]["problems"] == 0
    assert "processes ended by themselves" in shown_text(tmp_path)
    assert "no batch was recorded" not in shown_text(tmp_path)
    orphan.assert_at_home()


@pytest.mark.whole_start
def test_the_last_process_brings_it_home(tmp_path: Path) -> None:
    """Nobody looks at it meanwhile."""
    orphan = Orphan(tmp_path, "tmpfs")
    total = orphan.end()
    orphan.assert_at_home()
    assert only(shown(tmp_path)["loaders"])["batches"] == total
    assert state(tmp_path) == ("ended", "died", None)


@PLACES
@pytest.mark.parametrize("reader", ["show", "ls", "top", "serve", "export"])
def test_the_next_reader_brings_it_home(tmp_path: Path, record_on: str, reader: str) -> None:
    orphan = Orphan(tmp_path, record_on)
    orphan.kill()
    READERS[reader](tmp_path)
    orphan.assert_at_home()
    run = shown(tmp_path)
    assert (run["run"]["state"], run["run"]["launcher"]) == ("died", "died")
    assert only(run["loaders"])["batches"] >= 20
    assert "the command's processes died as well; what they recorded is here" in shown_text(
        tmp_path
    )


def listed(folder: Path) -> None:
    ended = datastall("ls", folder=folder)
    assert ended.code == 0, ended.err
    assert "the launcher (datastall run) died" in ended.out


def topped(folder: Path) -> None:
    words = [DATASTALL, "top", "--json", "--dir", "datastall-runs"]
    run: dict[str, Any] = only(json.loads(command(words, folder).out)["runs"])
    assert (run["run"]["state"], run["run"]["launcher"]) == ("died", "died")


def exported(folder: Path) -> None:
    series = parse(command([DATASTALL, "export", "--dir", "datastall-runs"], folder).out)
    assert value(series, "datastall_run_launcher_died") == "1"
    assert value(series, "datastall_run_running") == "0"


def served(folder: Path) -> None:
    with serving(folder) as exporter:
        assert value(exporter.series(), "datastall_run_launcher_died") == "1"


READERS: dict[str, Callable[[Path], None]] = {
    "show": lambda folder: print(shown(folder)),
    "ls": listed,
    "top": topped,
    "serve": served,
    "export": exported,
}


@PLACES
def test_killed_before_anything_was_recorded(tmp_path: Path, record_on: str) -> None:
    extra = {"DATASTALL_RECORD_ON": record_on}
    launcher = start([DATASTALL, "run", "sleep", "600"], tmp_path, extra)
    until("it is there", lambda: run_folders(tmp_path) and shows_a_command(tmp_path), 60)
    launcher.kill()
    launcher.wait()
    assert state(tmp_path) == ("running", "died", None)
    assert "the command is still running, and has recorded nothing yet" in shown_text(tmp_path)
    os.killpg(launcher.pid, signal.SIGKILL)
    until("it is over", lambda: state(tmp_path) == ("died", "died", None), 60)
    assert "no process of the command recorded anything" in shown_text(tmp_path)
    finish(launcher)
    assert [path.name for path in only(run_folders(tmp_path)).iterdir()] == ["launcher.dsrun"]


def shows_a_command(folder: Path) -> bool:
    ended = datastall("show", "--json", folder=folder)
    children = command(["pgrep", "-f", "^sleep 600"], folder).out
    return ended.code == 0 and children != ""


def test_a_launchers_file_that_is_gone(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", "import datastall\nfor _ in datastall.watch([1, 2]): pass\n")
    assert datastall("run", PYTHON, "prog.py", folder=tmp_path).code == 0
    (only(run_folders(tmp_path)) / "launcher.dsrun").unlink()
    run = shown(tmp_path)
    assert (run["run"]["state"], run["run"]["launcher"]) == ("ended", "missing")
    assert "the launcher's file cannot be read or is gone" in shown_text(tmp_path)
    assert only(run["loaders"])["batches"] == 2


def test_without_a_launcher_nothing_is_amiss(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", "import datastall\nfor _ in datastall.watch([1, 2]): pass\n")
    assert command([PYTHON, "prog.py"], tmp_path).code == 0
    run = shown(tmp_path)["run"]
    assert (run["state"], run["launcher"], run["launcher_text"]) == ("ended", None, None)


def test_a_run_that_is_on_another_machine(tmp_path: Path) -> None:
    """Or was lost with its memory: `ls` and `show` say where it was."""
    run = tmp_path / "datastall-runs" / "20260101-000000-far"
    run.mkdir(parents=True)
    (run / "recording-at").write_text("/dev/shm/datastall-FARFAR\n")
    ended = datastall("show", folder=tmp_path)
    assert ended.code == 1
    assert "/dev/shm/datastall-FARFAR, which is not here" in only(ended.said)
    assert "/dev/shm/datastall-FARFAR" in datastall("ls", folder=tmp_path).out


def test_orphans_are_named(tmp_path: Path) -> None:
    """Its run folder was removed while it was recorded."""
    orphan = Orphan(tmp_path, "tmpfs")
    for path in orphan.home.iterdir():
        path.unlink()
    orphan.home.rmdir()
    (orphan.home.parent / "another").touch()  # an empty folder of runs goes with doctor's trial
    orphan.kill()
    said = datastall("ls", folder=tmp_path).said
    line = only([line for line in said if str(orphan.tmpfs) in line])
    assert f"to remove it: rm -r {orphan.tmpfs}" in line
    findings = json.loads(datastall("doctor", "--json", folder=tmp_path).out)["findings"]
    assert any(str(orphan.tmpfs) in finding["finding"] for finding in findings)
    assert orphan.tmpfs is not None
    old = time.time() - 100000
    os.utime(orphan.tmpfs / "home-is-gone", (old, old))

    def is_removed() -> bool:
        """By the first reader that comes while no other one, of another test, looks into it."""
        datastall("ls", folder=tmp_path)
        return orphan.tmpfs is not None and not orphan.tmpfs.exists()

    until("it is removed", is_removed, 60)
