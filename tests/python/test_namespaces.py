# SPDX-License-Identifier: Apache-2.0
"""A live run in another PID namespace is never called dead: it is seen, or said to be unseen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live import until
from support import DATASTALL, PYTHON, Ended, command, only, run_folders, shown, start, write

PROGRAM = """
import os, pathlib, time
import datastall
def numbers():
    number = 0
    while not os.path.exists("enough"):
        time.sleep(0.005)
        number += 1
        yield number
for number in datastall.watch(numbers(), name="numbers"):
    if number == 20:
        pathlib.Path("begun").touch()
"""

#: With /proc of the new namespace, and with that of the one above.
KINDS = {
    "own /proc": ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"],
    "/proc of the host": ["unshare", "--pid", "--fork", "--kill-child"],
}
INITIAL = 0xEFFFFFFC


def may_unshare() -> bool:
    return subprocess.run([*KINDS["own /proc"], "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not may_unshare(), reason="PID namespaces are not permitted here")


@contextmanager
def recording(folder: Path, *before: str, record_on: str = "") -> Iterator[None]:
    """A program that records, in what `before` makes."""
    write(folder, "prog.py", PROGRAM)
    extra = {"DATASTALL_RECORD_ON": record_on}
    process = start([*before, DATASTALL, "run", PYTHON, "prog.py"], folder, extra)
    try:
        until("it records", (folder / "begun").exists, 60)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def states(run: dict[str, Any]) -> tuple[str, str, str]:
    return run["run"]["state"], run["run"]["launcher"], only(run["processes"])["state"]


@pytest.mark.parametrize("kind", KINDS)
def test_seen_from_outside(tmp_path: Path, kind: str) -> None:
    """The namespace above sees it, and knows that it is dead when it is."""
    with recording(tmp_path, *KINDS[kind]):
        assert states(shown(tmp_path)) == ("running", "running", "running")
    if Path("/proc/self/ns/pid").stat().st_ino == INITIAL:
        gone = ("died", "died", "died")
        until("it is gone for certain", lambda: states(shown(tmp_path)) == gone)


@pytest.mark.parametrize("kind", KINDS)
def test_seen_inside(tmp_path: Path, kind: str) -> None:
    """Program and reader in one new namespace, whosever /proc they have."""
    write(tmp_path, "prog.py", PROGRAM)
    words = f"""
        '{DATASTALL}' run '{PYTHON}' prog.py & launcher=$!
        until [ -e begun ]; do sleep .05; done
        '{DATASTALL}' show --json > running.json
        touch enough; wait $launcher
        '{DATASTALL}' show --json > ended.json
    """
    ended = command([*KINDS[kind], "sh", "-c", words], tmp_path)
    assert ended.code == 0, ended.err
    assert states(json.loads((tmp_path / "running.json").read_text())) == ("running",) * 3
    assert states(json.loads((tmp_path / "ended.json").read_text())) == ("ended",) * 3


def inside(folder: Path, *words: str) -> Ended:
    return command([*KINDS["own /proc"], DATASTALL, *words], folder)


def test_not_seen_from_inside(tmp_path: Path) -> None:
    """From a namespace below nothing of it can be seen but that it records."""
    with recording(tmp_path):
        run = json.loads(inside(tmp_path, "show", "--json").out)
        assert states(run) == ("running", "running", "running")
        assert " died" not in inside(tmp_path, "ls").out
        assert " died" not in inside(tmp_path, "show").out
    until("it died", lambda: states(shown(tmp_path)) == ("died", "died", "died"))


def test_a_run_on_tmpfs_is_not_taken_from_a_writer_that_is_not_seen(tmp_path: Path) -> None:
    with recording(tmp_path, record_on="tmpfs"):
        home = only(run_folders(tmp_path))
        tmpfs = Path((home / "recording-at").read_text().strip())
        for words in (("show",), ("ls",), ("top", "--once")):
            assert inside(tmp_path, *words).code == 0
        assert sorted(path.name for path in home.iterdir()) == ["recording-at"]
        assert (tmpfs / "belongs-to").exists()
    until("it came home", lambda: shown(tmp_path) and not tmpfs.exists())


def read_as_of_boot(words: Sequence[str], folder: Path, boot_id: str) -> Ended:
    """Under another boot id."""
    (folder / "boot_id").write_text(boot_id)
    mount = f"mount --bind '{folder}/boot_id' /proc/sys/kernel/random/boot_id"
    return command(
        ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", *words], folder
    )


def test_another_boot(tmp_path: Path) -> None:
    """Process numbers of another boot or machine mean nothing here: such a run is over."""
    with recording(tmp_path):
        other = "00000000-0000-4000-8000-000000000000\n"
        ended = read_as_of_boot([DATASTALL, "show"], tmp_path, other)
        if "mount:" in ended.err:
            pytest.skip("mounting is not permitted here")
        assert "killed or lost" in ended.out
        assert states(shown(tmp_path)) == ("running", "running", "running")


def test_a_run_on_tmpfs_is_of_this_boot_whatever_its_name(tmp_path: Path) -> None:
    """Whoever looks at his own runs looks through all that lie on tmpfs."""
    with recording(tmp_path, record_on="tmpfs"):
        home = only(run_folders(tmp_path))
        other = "00000000-0000-4000-8000-000000000000\n"
        ended = read_as_of_boot([DATASTALL, "show"], tmp_path, other)
        if "mount:" in ended.err:
            pytest.skip("mounting is not permitted here")
        assert [path.name for path in home.iterdir()] == ["recording-at"]
        assert states(shown(tmp_path)) == ("running", "running", "running")
    until("it came home", lambda: shown(tmp_path) and not (home / "recording-at").exists())
