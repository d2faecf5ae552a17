# SPDX-License-Identifier: Apache-2.0
"""`datastall doctor`: every finding against a machine in which it is so."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import Ended, datastall, without_torch, write

Fake = Callable[..., dict[str, str]]


def doctor(folder: Path, *arguments: str, extra: dict[str, str] | None = None) -> Ended:
    return datastall("doctor", *arguments, folder=folder, extra=extra)


def findings(folder: Path, *arguments: str, extra: dict[str, str] | None = None) -> dict[str, Any]:
    """By subject; the last of several."""
    ended = doctor(folder, "--json", *arguments, extra=extra)
    document = json.loads(ended.out)
    assert document["schema"] == 1
    assert ended.code == any(each["status"] == "failed" for each in document["findings"])
    return {each["subject"]: each for each in document["findings"]}


def test_a_machine_without_gpus(tmp_path: Path, no_driver: dict[str, str]) -> None:
    found = findings(tmp_path, "--python", sys.executable, extra=no_driver)
    assert found["run folder"]["status"] == "ok"
    assert found["python"]["status"] == "ok"
    assert sys.executable in found["python"]["finding"]
    assert found["PyTorch"]["status"] == "ok"
    assert "its DataLoader is hooked" in found["PyTorch"]["finding"]
    assert found["NVML"]["status"] == "missing"
    assert "(12)" in found["NVML"]["finding"]
    cpus = len(os.sched_getaffinity(0))
    assert float(found["CPUs"]["finding"].split()[0]) <= cpus
    assert found["/dev/shm"]["finding"].split()[1].startswith("GiB")
    # Nothing stays of what was tried.
    assert sorted(os.listdir(tmp_path)) == ["no-driver"]


def test_one_line_each(tmp_path: Path) -> None:
    lines = doctor(tmp_path, "--python", sys.executable).out.splitlines()
    subjects = [line[9:21].strip() for line in lines]
    assert subjects[:3] == ["run folder", "python", "PyTorch"]
    assert {line.split()[0] for line in lines} <= {"ok", "limited", "missing"}


def test_gpus(tmp_path: Path, fake_nvml: Fake) -> None:
    extra = fake_nvml(
        *("devices 4", "name 0 New", "gpm_activity 0 100", "utilization 0 1", "power_mw 0 1"),
        *("name 1 Old", "utilization 1 10", "name 2 Shut", "utilization 2 10"),
        *("gpm_activity 2 100", "fail gpm_sample 2 4", "name 3 Gone", "fail utilization 3 15"),
    )
    found = findings(tmp_path, extra=extra | without_torch(tmp_path))
    assert found["NVML"]["status"] == "ok"
    assert (found["GPU 0"]["status"], found["GPU 1"]["status"]) == ("ok", "limited")
    assert found["GPU 0"]["finding"] == "New: its own activity counters (GPM), no memory use"
    assert "no GPM" in found["GPU 1"]["finding"]
    assert found["GPU 2"]["status"] == "limited"
    assert "not permitted" in found["GPU 2"]["finding"]
    assert "run as root" in found["GPU 2"]["advice"]
    assert found["GPU 3"]["status"] == "missing"
    assert "the GPU is lost" in found["GPU 3"]["finding"]


@pytest.mark.parametrize(("code", "word"), [(9, "not loaded"), (18, "do not match")])
def test_a_driver_that_does_not_open(tmp_path: Path, fake_nvml: Fake, code: int, word: str) -> None:
    extra = fake_nvml("devices 1", f"fail init {code}") | without_torch(tmp_path)
    found = findings(tmp_path, extra=extra)
    assert found["NVML"]["status"] == "missing"
    assert word in found["NVML"]["finding"]


def test_a_driver_that_hangs(tmp_path: Path, fake_nvml: Fake) -> None:
    begin = time.monotonic()
    found = findings(tmp_path, extra=fake_nvml("devices 1", "hang init"))
    assert time.monotonic() - begin < 200
    assert "did not answer" in found["NVML"]["finding"]


def test_interpreters_that_do_not_do(tmp_path: Path) -> None:
    found = findings(tmp_path, "--python", "no-such-python")
    assert (found["python"]["status"], found["python"]["finding"]) == (
        *("failed", "no-such-python is not there"),
    )
    broken = write(tmp_path, "python-broken", "#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert "does not start" in findings(tmp_path, "--python", str(broken))["python"]["finding"]
    # One without the site module does not start the hooks.
    isolated = write(tmp_path, "isolated", f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    isolated.chmod(0o755)
    found = findings(tmp_path, "--python", str(isolated))
    assert "does not start the hooks" in found["python"]["finding"]


def test_an_interpreter_without_torch(tmp_path: Path) -> None:
    found = findings(tmp_path, "--python", sys.executable, extra=without_torch(tmp_path))
    assert found["python"]["status"] == "ok"
    assert found["PyTorch"]["status"] == "limited"
    assert "no torch here" in found["PyTorch"]["finding"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    write(tmp_path, "file", "")
    found = findings(tmp_path, "--dir", str(tmp_path / "file"))
    assert found["run folder"]["status"] == "failed"


def test_wrong_usage(tmp_path: Path) -> None:
    ended = doctor(tmp_path, "everything")
    assert ended.code == 2
    assert "takes no argument" in ended.err
