"""How the hooks come into a process, and what they leave alone there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import (
    DATASTALL,
    PYTHON,
    command,
    datastall,
    only,
    recorded,
    run_folders,
    shown,
    write,
)

LOOP = """
import datastall
for item in datastall.watch([1, 2, 3], name="list"):
    pass
"""


def run_files(folder: Path) -> list[str]:
    """Names of the run files beside the launcher's."""
    names = sorted(path.name for path in only(run_folders(folder)).glob("*.dsrun"))
    return [name for name in names if name != "launcher.dsrun"]


def test_the_users_sitecustomize_still_runs(tmp_path: Path) -> None:
    write(
        tmp_path,
        "site/sitecustomize.py",
        """
        import sys
        sys.from_sitecustomize = [__name__, __file__, __spec__.name, sys.modules[__name__].__file__]
        """,
    )
    program = "import sys, sitecustomize; print(sys.from_sitecustomize, sitecustomize.__file__)"
    write(tmp_path, "prog.py", program)
    extra = {"PYTHONPATH": str(tmp_path / "site")}
    plain = command([PYTHON, "prog.py"], tmp_path, extra)
    ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path, extra=extra)
    assert "sitecustomize.py" in plain.out
    assert (ended.code, ended.out, ended.err) == (plain.code, plain.out, plain.err)


@pytest.mark.parametrize("verbose", ["", "1"])
def test_an_error_in_the_users_sitecustomize_prints_as_before(tmp_path: Path, verbose: str) -> None:
    write(tmp_path, "site/sitecustomize.py", "raise ValueError('broken on purpose')\n")
    write(tmp_path, "prog.py", "print('ran')\n")
    extra = {"PYTHONPATH": str(tmp_path / "site")}
    plain = command([PYTHON, "prog.py"], tmp_path, extra)
    assert "broken on purpose" in plain.err
    if verbose:  # the same, and still recorded
        write(tmp_path, "prog.py", LOOP)
        recorded(tmp_path, "prog.py", extra=extra)
        assert only(shown(tmp_path)["loaders"])["batches"] == 3
    else:
        ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path, extra=extra)
        assert (ended.code, ended.out, ended.err) == (plain.code, plain.out, plain.err)


def test_nothing_is_imported_that_the_program_does_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import sys
        print([name for name in sys.modules if "torch" in name or "datastall" in name])
        """,
    )
    plain = command([PYTHON, "prog.py"], tmp_path)
    ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path)
    assert (ended.code, ended.out, ended.err) == (plain.code, plain.out, plain.err)


@pytest.mark.parametrize("own", ["", "lib", "lib:other"])
def test_the_programs_path_is_as_before(tmp_path: Path, own: str) -> None:
    write(tmp_path, "prog.py", "import sys; print(sys.path)")
    extra = {"PYTHONPATH": own} if own else {}
    plain = command([PYTHON, "prog.py"], tmp_path, extra)
    ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path, extra=extra)
    assert ended.out == plain.out
    assert "_inject" not in ended.out


def test_a_program_without_torch_stays_inert(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", "print('hello')")
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == "hello\n"
    assert run_files(tmp_path) == []
    assert ended.said == ["datastall: nothing was recorded: no process imported torch.utils.data"]


def test_torch_without_a_loader(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", "import torch.utils.data")
    ended = recorded(tmp_path, "prog.py")
    assert run_files(tmp_path) == []
    assert ended.said == [
        "datastall: nothing was recorded: PyTorch was loaded, but no DataLoader was iterated"
    ]


@pytest.mark.parametrize("option", ["I", "E", "S"])
def test_options_that_keep_the_hooks_out(tmp_path: Path, option: str) -> None:
    write(tmp_path, "prog.py", "print('ran')")
    ended = recorded(tmp_path, f"-{option}", "prog.py")
    assert ended.out == "ran\n"
    assert f"python -{option} ignores the hooks" in only(ended.said)


def test_an_option_among_others_keeps_the_hooks_out(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", "print('ran')")
    ended = recorded(tmp_path, "-u", "-W", "ignore", "-OS", "prog.py", "-E")
    assert "python -S ignores the hooks" in only(ended.said)


@pytest.mark.parametrize("words", [("env", "-i"), ("env", "-u", "PYTHONPATH")])
def test_a_cleared_environment(tmp_path: Path, words: tuple[str, ...]) -> None:
    write(tmp_path, "prog.py", "print('ran')")
    ended = datastall("run", *words, PYTHON, "prog.py", folder=tmp_path)
    assert (ended.code, ended.out) == (0, "ran\n")
    assert "no Python 3.10 or newer started the hooks" in only(ended.said)


def test_a_command_that_is_no_python(tmp_path: Path) -> None:
    ended = datastall("run", "true", folder=tmp_path)
    assert ended.code == 0
    assert "no Python 3.10 or newer started the hooks" in only(ended.said)


def test_another_interpreter_finds_the_package(tmp_path: Path) -> None:
    """The base interpreter has no datastall installed; the hooks bring it along."""
    base = os.path.realpath(PYTHON)
    if command([base, "-c", "import datastall"], tmp_path).code == 0:
        pytest.skip("it is installed there as well")
    write(tmp_path, "prog.py", LOOP)
    ended = datastall("run", base, "prog.py", folder=tmp_path)
    assert ended.code == 0, ended.err
    assert only(shown(tmp_path)["loaders"])["batches"] == 3


def test_children_are_hooked_too(tmp_path: Path) -> None:
    """A shell script that starts Python: the environment carries the hooks."""
    write(tmp_path, "prog.py", LOOP)
    ended = command([DATASTALL, "run", "sh", "-c", f"'{PYTHON}' prog.py; exit 4"], tmp_path)
    assert ended.code == 4
    assert only(shown(tmp_path)["loaders"])["batches"] == 3


def test_a_torch_that_cannot_be_hooked(tmp_path: Path) -> None:
    """Another layout of torch.utils.data: the program runs on, one line says why."""
    write(tmp_path, "torch/__init__.py", "")
    write(tmp_path, "torch/utils/__init__.py", "")
    write(tmp_path, "torch/utils/data/__init__.py", "from .dataloader import DataLoader\n")
    write(
        tmp_path,
        "torch/utils/data/dataloader.py",
        """
        class DataLoader:
            def __init__(self, data):
                self.data = data
            def __iter__(self):
                return iter(self.data)
        """,
    )
    write(
        tmp_path,
        "prog.py",
        "from torch.utils.data import DataLoader; print(list(DataLoader([1, 2])))",
    )
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == "[1, 2]\n"
    assert "the hooks failed in Python" in only(ended.said)
