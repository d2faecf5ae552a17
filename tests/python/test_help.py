# SPDX-License-Identifier: Apache-2.0
"""`datastall help TOPIC`: pages in the terminal, and that nothing installed names what is not."""

from __future__ import annotations

import os
import pty
import re
from pathlib import Path

import datastall as package
import pytest
from support import DATASTALL, command, datastall, environment

ROOT = Path(__file__).parents[2]
TOPICS = dict(line.split() for line in (ROOT / "docs/topics.txt").read_text().splitlines())
#: Pages of the repository that are for who has it.
NOT_INSTALLED = {"house.md", "packaging.md", "pypi.md"}
NAMED = re.compile(r"datastall[\s#]+help[\s#]+([a-z][\w-]*)")


def listed(folder: Path) -> tuple[set[str], set[str]]:
    """(commands, topics) as `datastall help` lists them."""
    commands, topics = datastall("help", folder=folder).out.split("\ntopics")
    return (
        set(re.findall(r"(?m)^  datastall (\w+) ", commands)),
        set(re.findall(r"(?m)^  ([\w-]+) ", topics)),
    )


def test_every_page_is_a_topic(tmp_path: Path) -> None:
    commands, topics = listed(tmp_path)
    assert topics == set(TOPICS)
    assert not topics & commands
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert set(TOPICS.values()) == pages - NOT_INSTALLED


def test_a_page(tmp_path: Path) -> None:
    for name, file in TOPICS.items():
        ended = datastall("help", name, folder=tmp_path)
        title = (ROOT / "docs" / file).read_text().splitlines()[0].removeprefix("# ")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines()[0] == title.replace("`", "")
        assert "](" not in ended.out and "\033" not in ended.out
    wide = datastall("help", "metrics", folder=tmp_path, extra={"COLUMNS": "200"}).out
    narrow = datastall("help", "metrics", folder=tmp_path, extra={"COLUMNS": "60"}).out
    assert len(narrow.splitlines()) > len(wide.splitlines())


#: Pages with what programs printed, as it was.
CAPTURED = {"causes"}


def test_width(tmp_path: Path) -> None:
    """80 columns for what is broken here; of lines of code, which are not, 100."""
    commands, topics = listed(tmp_path)
    extra = {"COLUMNS": "80"}
    too_wide = []
    for name in (None, *commands, *topics):
        words = ["help", name] if name else ["help"]
        for line in datastall(*words, folder=tmp_path, extra=extra).out.splitlines():
            code = name in topics and line.startswith("    ")
            if len(line) > (100 if code else 80) and name not in CAPTURED:
                too_wide.append((name, line))
    assert too_wide == []
    # What is said of an option stands beside it or below, in one column.
    text = datastall("help", "show", folder=tmp_path, extra=extra).out
    assert re.search(r"(?m)^      --price-per-gpu-hour PRICE\n {23}a GPU's hour", text)
    assert re.search(r"(?m)^  -v, --verbose {8}with the evidence", text)
    narrow = datastall("help", "show", folder=tmp_path, extra={"COLUMNS": "60"}).out
    assert max(map(len, narrow.splitlines())) <= 60
    wide = datastall("help", "show", folder=tmp_path, extra={"COLUMNS": "200"}).out
    assert wide == text


def installed_texts() -> dict[str, str]:
    """The program and every file of the package, as text."""
    files = [Path(DATASTALL), *Path(package.__file__).parent.rglob("*")]
    kept = [file for file in files if file.is_file() and file.suffix != ".pyc"]
    assert len(kept) > 10
    return {file.name: file.read_bytes().decode("latin-1") for file in kept}


def test_what_is_named_exists(tmp_path: Path) -> None:
    """Help texts, messages, docstrings and pages name topics, not files that only a clone has."""
    commands, topics = listed(tmp_path)
    named = set()
    for file, text in installed_texts().items():
        assert not re.findall(r"docs/[\w-]+\.md", text), file
        named |= set(NAMED.findall(text.replace("``", "")))
    header = (ROOT / "include/datastall.h").read_text()
    named |= set(NAMED.findall(re.sub(r"\n \*", " ", header)))
    assert named - commands - topics - {"topic"} == set()
    assert {"measuring", "migrating", "prediction", "fleet"} <= named


@pytest.mark.parametrize(
    ("word", "meant"),
    [("measurng", "measuring"), ("metric", "metrics"), ("run-flie", "run-file"), ("shwo", "show")],
)
def test_did_you_mean_a_topic(tmp_path: Path, word: str, meant: str) -> None:
    ended = datastall("help", word, folder=tmp_path)
    assert ended.code == 2 and ended.out == ""
    assert f"(did you mean '{meant}'?)" in ended.err and len(ended.said) == 1
    assert "did you mean" not in datastall("help", "zzzzzzzz", folder=tmp_path).err


def on_terminal(tmp_path: Path, extra: dict[str, str]) -> str:
    """What `help cost` writes to a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(DATASTALL, ["datastall", "help", "cost"], environment({"TERM": "xterm", **extra}))
    said = b""
    try:
        while part := os.read(terminal, 65536):
            said += part
    except OSError:  # the terminal's way of saying that nobody writes any more
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return said.decode()


def test_the_pager(tmp_path: Path) -> None:
    """On a terminal the page goes through $PAGER, with its colours; one that ends early is fine."""
    (tmp_path / "pager").write_text("#!/bin/sh\nsed 's/^/paged: /'\n")
    (tmp_path / "pager").chmod(0o755)
    paged = on_terminal(tmp_path, {"PAGER": "./pager"})
    assert paged.startswith("paged: \033[1mWhat a stall costs")
    assert on_terminal(tmp_path, {"PAGER": "exec head -1"}).count("\n") == 1
    assert on_terminal(tmp_path, {"PAGER": "true"}) == ""
    plain = on_terminal(tmp_path, {"PAGER": "cat", "NO_COLOR": "1"})
    assert plain.startswith("What a stall costs") and "\033" not in plain
    assert "paged" not in command([DATASTALL, "help", "cost"], tmp_path, {"PAGER": "./pager"}).out
