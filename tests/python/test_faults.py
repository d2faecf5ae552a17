# SPDX-License-Identifier: Apache-2.0
"""What goes wrong costs the recording, never the program, and one line says what it was."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import (
    DATASTALL,
    PYTHON,
    TIMEOUT_S,
    Ended,
    bring,
    command,
    datastall,
    environment,
    only,
    recorded,
    run_folders,
    shown,
    shown_text,
    write,
)

#: A program with a result, an exit code of its own, and five batches.
PROGRAM = """
import sys
import datastall
total = 0
for batch in datastall.watch([1, 2, 3, 4, 5]):
    total += batch
print(total)
print("to stderr", file=sys.stderr)
sys.exit(5)
"""

TORCH_PROGRAM = """
import sys
from torch.utils.data import DataLoader
print(sum(len(batch) for batch in DataLoader(list(range(20)), batch_size=4)))
sys.exit(5)
"""


def assert_untouched(ended: Ended, expected: str = "15\n") -> str:
    """The program ran as ever; returns the one line that datastall said."""
    assert (ended.code, ended.out) == (5, expected), ended.err
    return only(ended.said)


# ---- nowhere to write ----


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system of a given size."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = []

    def mount(size: str) -> Path:
        if os.geteuid() != 0:
            pytest.skip("mounting needs root")
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(words, capture_output=True).returncode != 0:
            pytest.skip("mounting is not allowed here")
        mounted.append(folder)
        return folder

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("source", [PROGRAM, TORCH_PROGRAM])
@pytest.mark.parametrize("size", ["16k", "4m"])
def test_a_full_disk(
    tmp_path: Path, small_disk: Callable[[str], Path], size: str, source: str
) -> None:
    """Too small for the launcher's file, or for the program's only."""
    disk = small_disk(size)
    write(tmp_path, "prog.py", source)
    runs = str(disk / "runs")
    ended = datastall("run", "--dir", runs, PYTHON, "prog.py", folder=tmp_path)
    line = assert_untouched(ended, "15\n" if source is PROGRAM else "20\n")
    assert "No space left on device" in line
    # Nothing half-made is left to fill the disk further.
    assert not [path for path in disk.rglob("*.dsrun") if path.name != "launcher.dsrun"]


def test_a_full_disk_used_as_a_library(tmp_path: Path, small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("1m")
    write(tmp_path, "prog.py", PROGRAM)
    ended = command([PYTHON, "prog.py"], tmp_path, {"DATASTALL_DIR": str(disk)})
    assert "No space left on device" in assert_untouched(ended)


def test_a_disk_that_fills_up_later(tmp_path: Path, small_disk: Callable[[str], Path]) -> None:
    """The space was taken at the start: no SIGBUS, every wait is there."""
    disk = small_disk("24m")
    write(
        tmp_path,
        "prog.py",
        f"""
        import datastall
        for number in datastall.watch(range(3000), measure=lambda number: 1):
            if number == 0:
                try:
                    with open({str(disk / "filler")!r}, "wb", buffering=0) as file:
                        while file.write(bytes(4096)):
                            pass
                except OSError as error:
                    print(error.strerror)
        """,
    )
    ended = recorded(tmp_path, "prog.py", options=["--dir", str(disk / "runs")])
    assert ended.out == "No space left on device\n"
    assert ended.said == []
    assert only(shown(tmp_path, "--dir", str(disk / "runs"))["loaders"])["samples"] == 3000


def test_a_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, no folder")
    write(tmp_path, "prog.py", PROGRAM)
    ended = datastall("run", "--dir", "file/runs", PYTHON, "prog.py", folder=tmp_path)
    assert "cannot create the folder" in assert_untouched(ended)
    ended = command([PYTHON, "prog.py"], tmp_path, {"DATASTALL_DIR": "file/runs"})
    assert "cannot create the folder" in assert_untouched(ended)
    # Loaders later on do not say it again.
    write(tmp_path, "twice.py", f"import datastall\nlist(datastall.watch([1]))\n{PROGRAM}")
    ended = command([PYTHON, "twice.py"], tmp_path, {"DATASTALL_DIR": "file/runs"})
    assert_untouched(ended)


def test_the_cap_of_a_run_folder(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", PROGRAM)
    extra = {"DATASTALL_RUN_CAP_MIB": "1"}
    ended = datastall("run", PYTHON, "prog.py", folder=tmp_path, extra=extra)
    assert "has reached its limit of 1 MiB" in assert_untouched(ended)


@pytest.mark.parametrize("batch", ["None", "0", "3"])
def test_a_run_folder_that_is_removed(tmp_path: Path, batch: str) -> None:
    """Before the first wait, at the first batch, later."""
    write(
        tmp_path,
        "prog.py",
        f"""
        import os, shutil, sys
        import datastall
        def remove():
            shutil.rmtree(os.environ["DATASTALL_RUN_DIR"])
        if {batch} is None:
            remove()
        total = 0
        for index, batch in enumerate(datastall.watch([1, 2, 3, 4, 5])):
            total += batch
            if index == {batch}:
                remove()
        print(total)
        sys.exit(5)
        """,
    )
    ended = datastall("run", PYTHON, "prog.py", folder=tmp_path)
    assert (ended.code, ended.out) == (5, "15\n")
    assert "was removed while the command ran; there is no summary" in ended.said[-1]
    # Where there was no folder to record in, the program's process says so as well.
    assert len(ended.said) == (2 if batch == "None" else 1)
    assert run_folders(tmp_path) == []


def test_standard_error_is_closed(tmp_path: Path) -> None:
    """There is nobody to tell: the program runs all the same."""
    (tmp_path / "file").touch()
    write(tmp_path, "prog.py", PROGRAM.replace('print("to stderr", file=sys.stderr)', ""))
    for runs in ("file/runs", "runs"):
        words = f"exec datastall run --dir {runs} '{PYTHON}' prog.py 2>&-"
        path = f"{Path(PYTHON).parent}:{os.environ['PATH']}"
        ended = command(["sh", "-c", words], tmp_path, {"PATH": path})
        assert (ended.code, ended.out) == (5, "15\n")


# ---- damaged run files ----


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a launcher and two processes."""
    folder = tmp_path_factory.mktemp("whole")
    write(folder, "prog.py", PROGRAM)
    ended = datastall(
        "run", "sh", "-c", f"'{PYTHON}' prog.py; '{PYTHON}' prog.py; exit 0", folder=folder
    )
    assert ended.code == 0
    return only(run_folders(folder))


@pytest.fixture
def run_copy(whole_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole_run, tmp_path / "datastall-runs" / "copy"))


def process_files(run: Path) -> list[Path]:
    return sorted(path for path in run.glob("*.dsrun") if path.name != "launcher.dsrun")


def truncate_to(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size)


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 3)


def overwrite(at: int, data: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    return change


def flip_a_bit(at: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ 4]))

    return change


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_link(path: Path) -> None:
    """A link might lead anywhere; it is not followed."""
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (truncate_to(0), ""),
    "cut in the header": (truncate_to(100), ""),
    "cut after the header": (truncate_to(4096), ""),
    "zeroed": (zero, "its writer stopped while making it"),
    "foreign text": (lambda path: path.write_bytes(b"hello\n" * 2000), "not a datastall run file"),
    "other byte order": (overwrite(8, b"\1\2\3\4"), "the other byte order"),
    "bit flipped in the header": (flip_a_bit(40), "checksum"),
    "newer format": (overwrite(12, b"\x63\x00"), "newer datastall (format 99; this one reads up"),
    "a folder": (replace_by_folder, ""),
    "a link": (replace_by_link, ""),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_beside_good_ones(tmp_path: Path, run_copy: Path, name: str) -> None:
    damage, says = DAMAGES[name]
    victim = process_files(run_copy)[0]
    damage(victim)
    ended = datastall("show", "--json", folder=tmp_path)
    assert ended.code == 3
    assert says in only(ended.said)
    assert victim.name in only(ended.said)
    run = shown(tmp_path, code=3)
    assert only(run["loaders"])["batches"] == 5
    assert run["run"]["exit_status"] == 0
    assert run["damage"]["files"] == 3
    assert run["damage"]["unreadable_files"] == run["damage"]["problems"] == 1
    assert victim.name in run["damage"]["first_problem"]
    assert "DAMAGED" in shown_text(tmp_path, code=3)
    assert datastall("ls", folder=tmp_path).out.splitlines()[1].startswith("copy ")


@pytest.mark.parametrize("name", DAMAGES)
def test_only_damaged_files(tmp_path: Path, run_copy: Path, name: str) -> None:
    damage, says = DAMAGES[name]
    for path in run_copy.glob("*.dsrun"):
        damage(path)
    for arguments in (["show"], ["show", "--json"]):
        ended = datastall(*arguments, folder=tmp_path)
        assert (ended.code, ended.out) == (1, "")
        assert says in only(ended.said)
    listed = datastall("ls", folder=tmp_path)
    assert listed.code == 3
    assert "unread" in listed.out


def test_a_file_cut_in_the_middle(tmp_path: Path, run_copy: Path) -> None:
    """What lies before the cut is shown."""
    halve(process_files(run_copy)[0])
    run = shown(tmp_path, code=3)
    assert len(run["processes"]) == 2
    assert run["damage"]["unreadable_files"] == 0
    assert run["damage"]["problems"] >= 1
    assert only([p for p in run["processes"] if p["file"] == process_files(run_copy)[1].name])


def test_bytes_flipped_all_over(tmp_path: Path, run_copy: Path) -> None:
    """Whatever it says then, it ends with a code of its own and valid output."""
    victim = process_files(run_copy)[0]
    original = victim.read_bytes()
    for step in range(0, len(original), len(original) // 24):
        victim.write_bytes(original)
        overwrite(step, bytes(255 - byte for byte in original[step : step + 700]))(victim)
        ended = datastall("show", "--json", folder=tmp_path)
        assert ended.code in (0, 3), ended.err
        assert any(loader["batches"] == 5 for loader in shown(tmp_path, code=ended.code)["loaders"])


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path, run_copy: Path) -> None:
    (run_copy / "notes.txt").write_text("mine")
    (run_copy / ".dsrun").write_text("mine")
    assert len(shown(tmp_path)["loaders"]) == 2


def test_reading_changes_nothing(tmp_path: Path, run_copy: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run_copy.iterdir()}
    shown_text(tmp_path)
    datastall("ls", folder=tmp_path)
    assert before == {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run_copy.iterdir()
    }


# ---- names that a terminal might obey ----

HOSTILE = "a\nb\x1b[31mc\x7f\u009b1md é✓".encode() + b"\x9b\xff\xed\xa0\x80"
HARMLESS = "a?b?[31mc??1md é✓?????"


def assert_harmless(out: bytes) -> str:
    """Lines of valid UTF-8 without control characters."""
    text = out.decode()
    assert all(c == "\n" or (c.isprintable() and not 0x7F <= ord(c) < 0xA0) for c in text), out
    return text


def raw(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [DATASTALL, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
    )


def test_a_hostile_command(tmp_path: Path) -> None:
    words = [os.fsencode(DATASTALL), b"run", b"--name", b"x", b"true", HOSTILE, b"w\xc3\xa9" * 60]
    ended = subprocess.run(
        words, cwd=tmp_path, env=environment(), capture_output=True, timeout=TIMEOUT_S
    )
    assert ended.returncode == 0
    assert_harmless(ended.stderr)
    listed = assert_harmless(raw(tmp_path, "ls").stdout)
    assert len(listed.splitlines()) == 2
    assert HARMLESS in listed
    assert HARMLESS in assert_harmless(raw(tmp_path, "show").stdout)


def test_a_hostile_folder_and_file(run_copy: Path, tmp_path: Path) -> None:
    base = os.fsencode(run_copy.parent)
    os.rename(run_copy, base + b"/" + HOSTILE)
    listed = assert_harmless(raw(tmp_path, "ls").stdout)
    assert len(listed.splitlines()) == 2
    assert listed.splitlines()[1].startswith(HARMLESS)
    text = assert_harmless(raw(tmp_path, "show").stdout)
    assert f"show -v {HARMLESS}" in " ".join(text.split())
    folder = base + b"/" + HOSTILE
    for name in os.listdir(folder):
        os.rename(folder + b"/" + name, folder + b"/" + HOSTILE + name)
    names = sorted(os.listdir(folder))
    os.truncate(folder + b"/" + names[0], 100)
    shown_run = raw(tmp_path, "show")
    assert shown_run.returncode == 3
    assert "DAMAGED" in assert_harmless(shown_run.stdout)
    assert HARMLESS in assert_harmless(raw(tmp_path, "show", "--json").stderr)
    for name in names:
        os.truncate(folder + b"/" + name, 100)
    shown_run = raw(tmp_path, "show")
    assert shown_run.returncode == 1
    assert len(assert_harmless(shown_run.stderr).splitlines()) == 1
    listed = assert_harmless(raw(tmp_path, "ls").stdout)
    assert len(listed.splitlines()) == 2
    assert "unread" in listed


# ---- processes that go wrong ----


def test_a_process_that_is_killed(tmp_path: Path) -> None:
    """Its waits are there to the last; the run itself ended."""
    bring(tmp_path, "timing.py")
    write(
        tmp_path,
        "prog.py",
        """
        import os, signal
        import datastall
        for number in datastall.watch(range(1, 100000), measure=lambda number: number):
            if number == 1234:
                os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    ended = datastall("run", PYTHON, "prog.py", folder=tmp_path)
    assert ended.code == 137
    run = shown(tmp_path)
    assert (run["run"]["state"], run["run"]["exit_status"]) == ("ended", 137)
    assert only(run["processes"])["state"] == "died"
    loader = only(run["loaders"])
    assert loader["batches"] == 1234
    assert loader["samples"] == 1234 * 1235 // 2


def test_os_exit_skips_the_end(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        PROGRAM.replace("sys.exit(5)", "import os; sys.stdout.flush(); os._exit(5)"),
    )
    ended = datastall("run", PYTHON, "prog.py", folder=tmp_path)
    assert (ended.code, ended.out) == (5, "15\n")
    run = shown(tmp_path)
    assert only(run["loaders"])["batches"] == 5
    assert only(run["processes"])["state"] == "died"
