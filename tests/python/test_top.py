# SPDX-License-Identifier: Apache-2.0
"""`datastall top` in a real terminal (tmux), and as a command in a pipe."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live import until
from support import DATASTALL, PYTHON, datastall, environment, finish, recorded, start, write

#: Waits half of the time, until the file `enough` is there.
LOOP = """
import datastall, pathlib, sys, time
def batches():
    while not pathlib.Path("enough").exists():
        time.sleep(0.01)
        yield [1, 2, 3, 4]
for _ in datastall.watch(batches(), name="hand made"):
    pathlib.Path("begun").touch()
    time.sleep(0.01)
"""


class Terminal:
    """A shell in a tmux window of its own server."""

    def __init__(self, folder: Path, columns: int, rows: int, extra: dict[str, str]) -> None:
        self.socket = str(folder / "tmux")
        variables = {**environment(), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        variables.pop("NO_COLOR", None)
        size = ["-x", str(columns), "-y", str(rows)]
        settings = {"PS1": "PROMPT ", **extra}  # a shell in between would drop PS1
        shell = "env " + " ".join(f"{k}={shlex.quote(v)}" for k, v in settings.items())
        self.tmux(
            "-f", "/dev/null", "new-session", "-d", *size, f"{shell} bash --norc --noprofile",
            folder=folder, variables=variables,
        )  # fmt: skip
        try:
            until("the shell is there", lambda: "PROMPT" in self.text())
        except AssertionError:
            self.close()
            raise

    def tmux(
        self, *arguments: str, folder: Path | None = None, variables: dict[str, str] | None = None
    ) -> str:
        ended = subprocess.run(
            ["tmux", "-u", "-S", self.socket, *arguments],
            capture_output=True, text=True, check=True, cwd=folder, env=variables, timeout=120,
        )  # fmt: skip
        return ended.stdout

    def text(self, *options: str) -> str:
        return self.tmux("capture-pane", "-p", *options)

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def shell(self, line: str) -> None:
        self.tmux("send-keys", "-l", line)
        self.keys("Enter")

    def state(self, name: str) -> str:
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def shows(self, *words: str) -> str:
        def all_there() -> str:
            text = self.text()
            return text if all(word in text for word in words) else ""

        try:
            return str(until(f"the screen shows {words}", all_there))
        except AssertionError:
            raise AssertionError(f"{words} not in\n{self.text()}") from None

    def has_keys_in_row(self, row: int) -> None:
        def there() -> bool:
            lines = self.text().splitlines()
            return len(lines) == row and lines[-1].startswith("F1 Help")

        try:
            until(f"the keys are in row {row}", there)
        except AssertionError:
            raise AssertionError(f"not in row {row}:\n{self.text()}") from None

    def is_as_before(self) -> None:
        """Back at a prompt: what is typed is seen, no alternate screen, no colours left."""
        assert self.state("alternate_on") == "0"
        assert self.state("cursor_flag") == "1"
        self.shell("stty -a | grep -c ' echo ' ; echo over")
        assert re.search(r"^1\nover", self.shows("over\nPROMPT"), re.MULTILINE)

    def close(self) -> None:
        self.tmux("kill-server")


@contextmanager
def terminal(folder: Path, columns: int = 80, rows: int = 24, **extra: str) -> Iterator[Terminal]:
    opened = Terminal(folder, columns, rows, extra)
    try:
        yield opened
    finally:
        opened.close()


TOP = f"{shlex.quote(DATASTALL)} top --dir datastall-runs --interval 0.2"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """A folder in which a run goes on."""
    write(tmp_path, "loop.py", LOOP)
    process = start([DATASTALL, "run", "--name", "live", PYTHON, "loop.py"], tmp_path)
    try:
        until("it waits", (tmp_path / "begun").exists)
        yield tmp_path
    finally:
        (tmp_path / "enough").touch()
        assert finish(process).code == 0


def test_it_follows_a_run(running: Path) -> None:
    with terminal(running) as t:
        t.shell(TOP)
        t.shows(
            "1 run, 1 running", "live 20", "running", "LOADER", "hand made", "RANK+", "F10 Quit"
        )
        assert t.state("alternate_on") == "1"
        assert t.state("cursor_flag") == "0"

        def batches() -> int:
            found = re.search(r"hand made +([\d,]+) ", t.text())
            return int(found[1].replace(",", "")) if found else 0

        first = until("batches", batches)
        until("more of them", lambda: batches() > first + 10)
        text = until("a share", lambda: re.search(r"running +\S+ s +1 +(\d+\.\d)%", t.text()))
        assert 5 < float(text[1]) < 95  # half, but for what others take of the CPUs
        until("half-high blocks", lambda: re.search("[▄▅▆]{2}$", t.text(), re.MULTILINE))
        t.keys("q")
        t.shows("PROMPT")
        t.is_as_before()


def test_keys_and_sizes(running: Path) -> None:
    with terminal(running, 120, 40) as t:
        t.shell(TOP)
        t.shows("RANK+")
        t.keys("F1")
        t.shows("STRAGGLER", "reverse the order")
        t.keys("Escape")
        t.shows("RANK+")
        t.keys("?")
        t.shows("reverse the order")
        t.keys("h")
        t.shows("RANK+")
        t.keys("F6")
        t.shows("STALL+")
        t.keys("I")
        t.shows("STALL-")
        t.keys("<", "<")
        t.shows("SMPL/S-")
        t.keys("Z")
        t.shows("paused")
        held = t.text()
        time.sleep(0.7)
        assert t.text() == held
        t.keys("F4")
        t.shows("Filter: _")
        t.keys("q", "x")  # text, and no way to quit
        t.shows("Filter: qx_", "no run has that")
        t.keys("BSpace", "BSpace", "l", "i", "v", "Enter")
        t.shows("Filter: liv ", "live 20")
        t.keys("Escape")
        t.shows("F4 Filter")
        t.keys("Z", "Up", "Down", "PageDown", "PageUp", "Home", "End", "x", "C-l")
        t.tmux("resize-window", "-x", "90", "-y", "26")
        t.has_keys_in_row(26)
        t.tmux("resize-window", "-x", "30", "-y", "5")
        time.sleep(0.5)
        t.tmux("resize-window", "-x", "150", "-y", "50")
        t.has_keys_in_row(50)
        t.keys("F10")
        t.shows("PROMPT")
        t.is_as_before()


def test_the_selected_run_stays_selected(tmp_path: Path) -> None:
    def run(name: str) -> None:
        source = f"import datastall\nfor _ in datastall.watch([[1]] * 5, name='{name}'): pass\n"
        write(tmp_path, f"{name}.py", source)
        recorded(tmp_path, f"{name}.py")

    run("alpha")
    run("beta")
    with terminal(tmp_path) as t:
        t.shell(TOP)
        t.shows("2 runs", "beta  ")
        t.keys("Down")
        t.shows("alpha  ")
        run("gamma")
        t.shows("3 runs", "alpha  ")
        assert "gamma  " not in t.text()
        t.keys("Up", "Up")
        t.shows("gamma  ")
        t.keys("q")
        t.shows("PROMPT")


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT"])
def test_ended_by_a_signal(running: Path, name: str) -> None:
    with terminal(running) as t:
        t.shell(f"{TOP}; echo code $?")
        t.shows("RANK+")
        pid = int(subprocess.check_output(["pgrep", "-P", t.state("pane_pid")]).split()[0])
        os.kill(pid, getattr(signal, f"SIG{name}"))
        code = 0 if name == "INT" else 128 + getattr(signal, f"SIG{name}")
        t.shows(f"code {code}\n")
        t.is_as_before()


def test_stopped_and_continued(running: Path) -> None:
    with terminal(running) as t:
        t.shell(TOP)
        t.shows("RANK+")
        t.keys("C-z")
        t.shows("Stopped")
        assert t.state("alternate_on") == "0"
        t.shell("fg")
        t.shows("RANK+", "F10 Quit")
        t.keys("C-c")
        t.shows("PROMPT")
        t.is_as_before()


def test_the_terminal_goes_away(running: Path) -> None:
    with terminal(running) as t:
        t.shell(f"exec {TOP}")
        t.shows("RANK+")
        pid = int(t.state("pane_pid"))
    until("it ended", lambda: not Path(f"/proc/{pid}").exists())


def test_no_colour(running: Path) -> None:
    with terminal(running, TERM="screen-256color") as t:
        t.shell(TOP)
        t.shows("RANK+")
        assert re.search(r"\x1b\[[\d;]*3[1-7]m", t.text("-e"))
        t.keys("q")
        t.shows("PROMPT")  # not the picture of before
        t.shell(f"NO_COLOR=1 {TOP}")
        t.shows("RANK+")
        assert "\x1b[7m" in t.text("-e")  # headers are reversed all the same
        assert not re.search(r"\x1b\[[\d;]*[34][0-8]m", t.text("-e"))
        t.keys("q")


@pytest.mark.parametrize(("name", "locale"), [("vt100", "C.UTF-8"), ("screen", "C")])
def test_old_terminals(running: Path, name: str, locale: str) -> None:
    with terminal(running, TERM=name, LC_ALL=locale) as t:
        t.shell(TOP)
        t.shows("RANK+")
        if locale == "C":
            until("a line", lambda: re.search(r"[-=+*:]{1,}$", t.text(), re.MULTILINE))
            assert t.text().isascii()
        t.keys("q")
        t.shows("PROMPT")


def test_terminals_that_cannot_place_text(running: Path) -> None:
    with terminal(running, 100, 60) as t:
        for name in ("dumb", "no-such-terminal", ""):
            t.shell("clear")  # what stands there is of the one before
            until("an empty screen", lambda: "RANK+" not in t.text() and "PROMPT" in t.text())
            t.shell(f"TERM={name} {TOP}")
            until("two pictures", lambda: t.text().count("RANK+") >= 2)
            t.keys("C-c")
            t.shows("PROMPT")


def test_once_and_json(tmp_path: Path) -> None:
    write(tmp_path, "loop.py", LOOP)
    (tmp_path / "enough").touch()
    source = "import datastall\nfor _ in datastall.watch([[1]] * 5, name='five'): pass\n"
    write(tmp_path, "five.py", source)
    own = ("--dir", "datastall-runs")
    assert "nothing is running" in datastall("top", "--once", *own, folder=tmp_path).out
    recorded(tmp_path, "five.py", options=["--name", "first"])
    recorded(tmp_path, "five.py", options=["--name", "second"])
    for arguments in (["--once"], []):  # in a pipe it is the same
        ended = datastall("top", *arguments, *own, folder=tmp_path)
        assert ended.code == 0
        assert ended.out.count("five  ") == 2
        assert "\nfirst 20" in ended.out and "\nsecond 20" in ended.out
        assert "\x1b" not in ended.out
    document = json.loads(datastall("top", "--json", *own, folder=tmp_path).out)
    assert [run["run"]["name"] for run in document["runs"]] == ["second", "first"]
    assert document["runs"][0]["loaders"][0]["batches"] == 5
    named = datastall("top", "--json", document["runs"][1]["run"]["id"], folder=tmp_path)
    assert [run["run"]["name"] for run in json.loads(named.out)["runs"]] == ["first"]


def test_usage(tmp_path: Path) -> None:
    for arguments, code, words in (
        (["--interval", "soon"], 2, "is not an interval"),
        (["--interval", "0"], 2, "is not an interval"),
        (["--interval", "nan"], 2, "is not an interval"),
        (["--once", "nothing"], 1, "no run 'nothing'"),
        (["--dir"], 2, "a value is missing"),
    ):
        ended = datastall("top", *arguments, folder=tmp_path)
        assert ended.code == code, (arguments, ended)
        assert words in ended.err
