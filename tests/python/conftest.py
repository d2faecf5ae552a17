# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the whole-program tests. They need torch and datastall beside the interpreter."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import support

FAKE_FOLDER = Path(__file__).parents[1] / "fake"
SONAME = "libnvidia-ml.so.1"
WARM = pytest.StashKey[support.WarmStarts]()

# Under nohup, or in the background of a script, these are ignored, and ignored they would stay in
# every program that is started here.
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """One server for all workers of pytest-xdist, which inherit the variables."""
    said = "whole_start: it is about how a program starts or ends, and gets an interpreter"
    config.addinivalue_line("markers", said)
    if hasattr(config, "workerinput") or os.environ.get("DATASTALL_TEST_STARTS") == "whole":
        return
    folder = Path(tempfile.mkdtemp(prefix="datastall-warm-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    warm = config.stash[WARM] = support.WarmStarts(folder)
    os.environ.update(warm.variables)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A state that a test leaves behind may turn down all later ones: nothing else tells."""
    warm = config.stash.get(WARM, None)
    if warm is not None:
        terminalreporter.write_line(f"warm starts: {warm.stop()}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    whole = item.get_closest_marker("whole_start") is not None
    support.WARM_PYTHON = "" if whole else os.environ.get("WARM_STUB", "")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a module prepares once is prepared by one worker of pytest-xdist, not by each: the tests
    that look at it go to the same one (--dist loadgroup). Before xdist reads the groups."""
    for item in items:
        shared = item._fixtureinfo.name2fixturedefs.values()
        if any(definitions[-1].scope == "module" for definitions in shared):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_finish(session: pytest.Session) -> None:
    """xdist 3.8 with pytest 9.2, or where the hook above comes too late, takes groups and does
    nothing with them, without a word: every worker prepares then what one would."""
    for item in session.items if getattr(session.config.option, "loadgroup", False) else ():
        if item.get_closest_marker("xdist_group") is not None and "@" not in item.nodeid:
            raise pytest.UsageError("this pytest-xdist does not group the tests of this pytest")


def build_fake(
    folder: Path, *definitions: str, source: str = "nvml.c", soname: str = SONAME
) -> Path:
    folder.mkdir(exist_ok=True)
    options = ["-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", f"-Wl,-soname,{soname}"]
    built = str(folder / soname)
    subprocess.run(
        ["cc", *options, *definitions, str(FAKE_FOLDER / source), "-o", built], check=True
    )
    return folder


@pytest.fixture(scope="session")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nvml/, nvml-old/ and nvml-cuda/, each with a libnvidia-ml.so.1."""
    given = os.environ.get("DATASTALL_FAKES")
    if given:
        return Path(given).absolute()
    folder = tmp_path_factory.mktemp("fakes")
    build_fake(folder / "nvml")
    build_fake(folder / "nvml-old", "-DFAKE_NVML_OLD")
    build_fake(folder / "nvml-cuda")
    build_fake(folder / "nvml-cuda", source="cuda.c", soname="libcuda.so.1")
    return folder


@pytest.fixture
def fake_nvml(fakes: Path, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Writes a script for the fake driver; returns the variables that put it in place."""

    def prepare(*lines: str, library: str = "nvml") -> dict[str, str]:
        script = tmp_path / "nvml.script"
        script.write_text("".join(f"{line}\n" for line in lines))
        return {"LD_LIBRARY_PATH": str(fakes / library), "FAKE_NVML": str(script)}

    return prepare


@pytest.fixture
def no_driver(tmp_path: Path) -> dict[str, str]:
    """Variables with which no NVML can be loaded, also where there is a driver."""
    folder = tmp_path / "no-driver"
    folder.mkdir()
    (folder / SONAME).write_text("not a library\n" * 100)
    return {"LD_LIBRARY_PATH": str(folder)}
