# SPDX-License-Identifier: Apache-2.0
"""The house: arrows between the rooms, and docs that name what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import datastall

ROOT = Path(__file__).parents[2]


def check_arrows(root: Path) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "check_arrows.py"), str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    shutil.copytree(ROOT / "python", tmp_path / "python", ignore=shutil.ignore_patterns("*.so"))
    return tmp_path


def test_the_arrows_hold() -> None:
    assert check_arrows(ROOT) == (0, "")


@pytest.mark.parametrize(
    ("place", "line", "complaint"),
    [
        ("stats/histogram.c", '#include "runfile/layout.h"', "goes against the arrows of stats"),
        ("runfile/view.h", '#include "record/monitor.h"', "goes against the arrows of runfile"),
        (
            "diagnose/sentences.c",
            '#  include "output/text.h"',
            "goes against the arrows of diagnose",
        ),
        ("record/wait.c", "#include <jansson.h>", "belongs to the program only"),
        ("base/clock.h", "//\n" * 600, "lines, at most 600"),
        ("base/clock.h", "#include <Python.h>", "belongs to python/ only"),
        ("python/errors.h", '#include "runfile/view.h"', "goes against the arrows of python"),
        ("python/errors.h", "#include <jansson.h>", "belongs to the program only"),
        ("python/tensor.c", "//\n" * 600, "lines, at most 600"),
        ("base/error.h", '#include "errors.h"', "goes against the arrows of base"),
    ],
)
def test_a_forbidden_include_is_found(copy: Path, place: str, line: str, complaint: str) -> None:
    path = (copy if place.startswith("python/") else copy / "src") / place
    path.write_text(path.read_text() + f"\n{line}\n")
    code, out = check_arrows(copy)
    assert code == 1
    assert place in out and complaint in out


@pytest.mark.parametrize(
    ("place", "line", "modules"),
    [
        ("python/errors.h", '#include "timed_next.h"', {"python/errors", "python/timed_next"}),
        ("src/record/monitor.h", '#include "record/feed.h"', {"record/monitor", "record/feed"}),
    ],
)
def test_a_circle_is_found(copy: Path, place: str, line: str, modules: set[str]) -> None:
    path = copy / place
    path.write_text(path.read_text() + f"\n{line}\n")
    code, out = check_arrows(copy)
    assert code == 1
    (circle,) = [found for found in out.splitlines() if "include one another" in found]
    assert modules <= set(circle.removesuffix(" include one another").split(", "))


def test_a_new_room_must_be_named(copy: Path) -> None:
    (copy / "src" / "cellar").mkdir()
    (copy / "src" / "cellar" / "rats.c").write_text("")
    assert "the room 'cellar' is not in ARROWS" in check_arrows(copy)[1]


def test_docs_name_what_exists(tmp_path: Path) -> None:
    """Commands and options that README and docs show, files that they point to."""
    overview = datastall("help", folder=tmp_path).out
    commands = set(re.findall(r"^  datastall (\w+) ", overview, re.MULTILINE))
    options = {name: datastall("help", name, folder=tmp_path).out for name in commands}
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]:
        text = page.read_text()
        for name, rest in re.findall(
            r"`?\bdatastall (run|show|ls|top|serve|report|help)\b([^`\n]*)", text
        ):
            assert name in commands, f"{page.name}: datastall {name}"
            for option in re.findall(r"^(?: +--[\w-]+)+", rest):
                for flag in option.split():
                    assert flag in options[name], f"{page.name}: datastall {name} {flag}"
        for target in re.findall(r"\]\(([\w./-]+\.md)\)", text):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"
        for target in re.findall(
            r"`((?:src|docs|examples|scripts|tests|bench|python)/[\w./-]+)`", text
        ):
            assert (ROOT / target).exists(), f"{page.name} names {target}"


def test_man_page(tmp_path: Path) -> None:
    man = datastall("help", "--man", folder=tmp_path).out
    assert man.startswith(".TH DATASTALL 1")
    for command in ("run", "show", "ls"):
        assert f".SS datastall {command} " in man
    assert "\\-\\-check" in man and ".B \\-d, \\-\\-dir DIR" in man


def options_of(folder: Path) -> dict[str, list[tuple[str | None, str]]]:
    """By command: (letter, name) of each option."""
    commands = re.findall(r"^  datastall (\w+) ", datastall("help", folder=folder).out, re.M)
    line = re.compile(r"^  (?:-(\w), |    )--([\w-]+)", re.MULTILINE)
    return {
        command: [
            (letter or None, name)
            for letter, name in line.findall(datastall("help", command, folder=folder).out)
        ]
        for command in commands
    }


def test_a_letter_means_one_thing(tmp_path: Path) -> None:
    """In every command, and the option that it stands for has it everywhere."""
    options = {option for each in options_of(tmp_path).values() for option in each}
    letters = [letter for letter, _ in options if letter]
    names = [name for _, name in options]
    assert len(set(letters)) == len(letters) >= 6, sorted(letters)
    assert len(set(names)) == len(names), sorted(names)


def test_nothing_else_is_installed() -> None:
    """The injected folder holds the one file that other interpreters may import."""
    import datastall as package

    folder = Path(package.__file__).parent / "_inject"
    assert [path.name for path in folder.glob("*.py")] == ["sitecustomize.py"]


def test_every_cause_is_documented() -> None:
    source = (ROOT / "src/diagnose/why_sentences.c").read_text()
    causes = set(re.findall(r'\[(?:WHY|CAUSE)_\w+\] = "(\w+)",', source))
    assert {"epoch_start", "failed"} <= causes
    page = (ROOT / "docs/causes.md").read_text()
    assert {cause for cause in causes if f"`{cause}`" not in page} == set()
