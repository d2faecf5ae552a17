# SPDX-License-Identifier: Apache-2.0
"""What every command that reads and prints has in common: exit codes, and names from elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from live import parse, serving, until, value
from support import (
    DATASTALL,
    PYTHON,
    TIMEOUT_S,
    Ended,
    command,
    datastall,
    environment,
    recorded,
    run_folders,
    without_torch,
    write,
)

Fake = Callable[..., dict[str, str]]

LOOP = "import datastall\nfor _ in datastall.watch([[1]] * 5, name='five'): pass\n"
#: What reads runs and prints.
READERS = (["show"], ["show", "--json"], ["ls"], ["top", "--once"], ["top", "--json"], ["export"])
OWN = ("--dir", "datastall-runs")


def of_this_run(ended: Ended) -> list[str]:
    """What it said, but for runs of others that lie in /dev/shm."""
    return [line for line in ended.err.splitlines() if " holds a run" not in line]


def shell(line: str, folder: Path, extra: dict[str, str] | None = None) -> Ended:
    """A line of shell in which "$D" is the program."""
    ended = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env=environment({"D": DATASTALL, **(extra or {})}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


# ---- what is printed arrives, or the exit code says so ----

PRINTERS = (
    *(" ".join([*reader, *OWN]) for reader in READERS),
    "help",
    "help --man",
    "help --completion bash",
    "help --completion zsh",
    "help --completion fish",
    "ls --ids --dir datastall-runs",
    "help show",
    "show --help",
    "run --help",
    "serve --help",
    "--version",
    "--help",
    "doctor",
    "doctor --json",
)


def test_a_full_disk_and_a_closed_output(tmp_path: Path) -> None:
    write(tmp_path, "five.py", LOOP)
    recorded(tmp_path, "five.py")
    torchless = without_torch(tmp_path)
    for printer in PRINTERS:
        for end, words in ((">/dev/full", "No space left"), (">&-", "Bad file descriptor")):
            ended = shell(f'"$D" {printer} {end}', tmp_path, torchless)
            assert ended.code == 1, (printer, end, ended)
            assert words in ended.err, (printer, end, ended)
            assert len(of_this_run(ended)) == 1, (printer, end, ended)


def test_who_stops_reading_is_told_nothing(tmp_path: Path) -> None:
    for line in ('"$D" help --man | true', '(trap "" PIPE; "$D" help --man) | true'):
        ended = shell(line, tmp_path)
        assert (ended.code, ended.err) == (0, "")


def test_a_closed_stream_is_not_taken_by_a_file(tmp_path: Path) -> None:
    """The command gets it closed, as it came, and nothing printed lands in a run file."""
    look = """
    import os
    with open("seen", "w") as file:
        for fd in 0, 1, 2:
            try:
                os.fstat(fd)
            except OSError:
                print(fd, file=file)
    import datastall
    for _ in datastall.watch([[1]] * 5, name="five"): pass
    """
    write(tmp_path, "look.py", look)
    python = f"{PYTHON} -c 'import os, sys; os.closerange(0, 3); "
    python += f'os.execv("{DATASTALL}", ["datastall", "run", "{PYTHON}", "look.py"])\''
    assert shell(python, tmp_path).code == 0
    # The interpreter's own file took the lowest number that was free, 0.
    assert (tmp_path / "seen").read_text().split() == ["1", "2"]
    assert datastall("show", folder=tmp_path).code == 0


# ---- damaged but partly read is 3 ----


def cut(file: Path, size: int) -> None:
    os.truncate(file, size)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A run of which one file is whole (the launcher's) and one is not."""
    write(tmp_path, "five.py", LOOP)
    recorded(tmp_path, "five.py")
    run = run_folders(tmp_path)[0]
    for file in run.glob("*.dsrun"):
        if file.name != "launcher.dsrun":
            cut(file, 100)
    return tmp_path


def test_one_rule_for_damage(damaged: Path) -> None:
    for reader in READERS:
        ended = datastall(*reader, *OWN, folder=damaged)
        assert ended.code == 3, (reader, ended)
        assert ended.out, reader
        # The card breaks a sentence where the line ends.
        said = " ".join(ended.out.split()) if reader == ["show"] else ended.err
        assert "cut short" in said or (reader == ["ls"] and "damaged" in said), (reader, ended)
    once = datastall("top", "--once", *OWN, folder=damaged).out
    assert "DAMAGED: 1 problem; the first: " in once
    with serving(damaged) as served:
        assert value(parse(served.get()[2]), "datastall_run_problems") == "1"


def test_a_run_that_cannot_be_read_at_all(damaged: Path) -> None:
    run = run_folders(damaged)[0]
    cut(run / "launcher.dsrun", 100)
    for reader in READERS:
        code = 1 if reader[0] == "show" else 3
        assert datastall(*reader, *OWN, folder=damaged).code == code, reader
    for reader in (["show"], ["top", "--once"], ["top", "--json"], ["export"]):
        ended = datastall(*reader, run.name, folder=damaged)
        assert (ended.code, ended.out) == (1, ""), (reader, ended)
        assert len(of_this_run(ended)) == 1, (reader, ended)


def test_what_was_damaged_long_ago_is_nobody_s_concern(damaged: Path) -> None:
    run = run_folders(damaged)[0]
    for file in run.iterdir():
        cut(file, 100)
        os.utime(file, (1, 1))
    os.utime(run, (1, 1))
    for reader in (["top", "--once"], ["top", "--json"], ["export"]):
        assert datastall(*reader, *OWN, folder=damaged).code == 0, reader
    assert datastall("ls", *OWN, folder=damaged).code == 3


# ---- names from elsewhere ----

#: One of each kind: escape, C1, DEL, newline, override, isolate, Arabic mark, zero-width, BOM, line
#: separator, variation selector, tag, noncharacter.
HIDDEN = "\x1b\x9b\x7f\n\u202e\u2066\u061c\u200b\u200d\ufeff\u2028\ufe0f\U000e0041\uffff"


def assert_harmless(text: str) -> None:
    """Nothing that a terminal obeys or that does not show; line ends are the output's own."""
    for character in text:
        kind = unicodedata.category(character)
        assert character == "\n" or kind not in ("Cc", "Cf", "Zl", "Zp", "Cn", "Co"), ascii(text)
        assert character != "\ufe0f", ascii(text)


@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda c: f"U+{ord(c):04X}")
def test_names_reach_nobody_s_terminal(tmp_path: Path, hidden: str, fake_nvml: Fake) -> None:
    name = f"a{hidden}z\u00fc"
    source = f"""
    import datastall
    with datastall.stage({name!r}):
        for _ in datastall.watch([[1]] * 5, name={name!r}): pass
    """
    write(tmp_path, "five.py", source)
    gpu = fake_nvml("devices 1", f"name 0 {name}".replace("\n", ""), "uuid 0 GPU-1", "power_mw 0 9")
    folder = tmp_path / name
    folder.mkdir()
    write(folder, "five.py", source)
    ended = command(
        [DATASTALL, "run", "--name", name, PYTHON, "five.py", name], folder, environment(gpu)
    )
    assert ended.code == 0
    assert_harmless(ended.err)
    for reader in READERS:
        ended = datastall(*reader, *OWN, folder=folder)
        assert ended.code == 0, (reader, ended)
        assert_harmless(ended.out + ended.err)
        if reader[-1] == "--json":
            assert json.loads(ended.out), reader
    run = json.loads(datastall("show", "--json", *OWN, folder=folder).out)
    assert run["loaders"][0]["name"] == run["stages"][0]["name"] == name  # JSON keeps it
    assert run["run"]["name"] == name
    with serving(folder, extra=gpu) as served:
        text = until("it is read", lambda: served.get()[2])
        assert_harmless(text)
        assert re.search(r'datastall_batches_total\{.*loader="a\?z\u00fc"\} 5\n', text)
        assert re.search(r'datastall_run_info\{.*name="a\?z\u00fc"', text)
    ended = datastall("doctor", "--dir", name, folder=folder, extra=gpu | without_torch(tmp_path))
    assert_harmless(ended.out + ended.err)
    ended = datastall("run", "--dir", name, PYTHON, "five.py", folder=folder)
    assert "datastall show " in ended.err
    assert_harmless(ended.err)


def test_arguments_are_echoed_clean(tmp_path: Path) -> None:
    name = f"a{HIDDEN}z"
    for arguments in (
        [name],
        ["help", name],
        ["show", name],
        ["show", "./" + name],
        ["show", "--dir", name],
        ["show", f"--{name}"],
        ["ls", "--dir", name],
        ["top", "--interval", name],
        ["export", "--format", name],
        ["export", "-o", f"./{name}/x"],
        ["serve", "--listen", name],
        ["serve", "--auth-file", name],
        ["run", "--dir", f"/proc/{name}", "true"],
        ["run", f"./{name}"],
    ):
        ended = datastall(*arguments, folder=tmp_path)
        assert_harmless(ended.out + ended.err)
        assert len(of_this_run(ended)) <= 3, (arguments, ended)
        assert "a?" in ended.err, (arguments, ended)


def test_what_is_no_utf8(tmp_path: Path) -> None:
    """A folder's name may be any bytes: JSON stays JSON, everything else stays readable."""
    folder = tmp_path / os.fsdecode(b"caf\xe9\xff")
    folder.mkdir()
    write(folder, "five.py", LOOP)
    recorded(folder, "five.py")
    for reader in READERS:
        ended = subprocess.run(
            [DATASTALL, *reader, *OWN], cwd=folder, env=environment(), capture_output=True
        )
        assert ended.returncode == 0
        text = ended.stdout.decode()  # valid
        assert_harmless(text)
        if reader == ["show", "--json"]:
            assert "/caf\ufffd\ufffd/" in json.loads(text)["run"]["path"]
