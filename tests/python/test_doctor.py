# SPDX-License-Identifier: Apache-2.0
"""`datastall doctor`: every finding against a machine in which it is so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import DATASTALL, Ended, command, datastall, free_threaded, without_torch, write

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
    extra = fake_nvml("devices 1", "hang init") | without_torch(tmp_path)
    found = findings(tmp_path, extra=extra)
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
    for python in free_threaded(tmp_path):
        found = findings(tmp_path, "--python", python)
        assert found["python"]["status"] == "failed"
        assert "is free-threaded" in found["python"]["finding"]


def test_an_interpreter_without_torch(tmp_path: Path) -> None:
    found = findings(tmp_path, "--python", sys.executable, extra=without_torch(tmp_path))
    assert found["python"]["status"] == "ok"
    assert found["PyTorch"]["status"] == "limited"
    assert "no torch here" in found["PyTorch"]["finding"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    write(tmp_path, "file", "")
    extra = without_torch(tmp_path)
    found = findings(tmp_path, "--dir", str(tmp_path / "file"), extra=extra)
    assert found["run folder"]["status"] == "failed"


def test_wrong_usage(tmp_path: Path) -> None:
    ended = doctor(tmp_path, "everything")
    assert ended.code == 2
    assert "takes no argument" in ended.err


# ---- containers: parts of one, made by unshare ----


def inside(folder: Path, made: str, *before: str, record_on: str = "") -> list[dict[str, str]]:
    """What is found after `made` has mounted this and that for nobody else to see."""
    script = f'set -e; {made}; exec "{DATASTALL}" doctor --json --dir "$RUNS"'
    ended = command(
        [*before, "unshare", "--mount", "sh", "-c", script],
        folder,
        {"DATASTALL_RECORD_ON": record_on, "RUNS": "runs", **without_torch(folder)},
    )
    assert ended.code in (0, 1), ended.err
    return list(json.loads(ended.out)["findings"])


def said_of(found: list[dict[str, str]], subject: str) -> list[tuple[str, str]]:
    return [(one["status"], one["finding"]) for one in found if one["subject"] == subject]


def may_mount() -> bool:
    mount = "mount -t tmpfs tmpfs /dev/shm"
    ended = subprocess.run(["unshare", "--mount", "sh", "-c", mount], capture_output=True)
    return ended.returncode == 0


needs_mounts = pytest.mark.skipif(not may_mount(), reason="mounts are not permitted here")
PIDS = ("unshare", "--pid", "--fork", "--kill-child")


@needs_mounts
def test_a_pid_namespace_of_its_own(tmp_path: Path) -> None:
    (apart,) = said_of(inside(tmp_path, "true", *PIDS, "--mount-proc"), "processes")
    assert apart[0] == "limited"
    assert "in a PID namespace of their own" in apart[1]
    (foreign,) = said_of(inside(tmp_path, "true", *PIDS), "processes")
    assert foreign == ("limited", "/proc is that of another PID namespace")


@needs_mounts
def test_shared_memory_of_a_container(tmp_path: Path) -> None:
    tiny = inside(tmp_path, "mount -t tmpfs -o size=64m tmpfs /dev/shm")
    assert said_of(tiny, "/dev/shm") == [("limited", "0.06 GiB, 0.00 used")]
    shut = inside(tmp_path, "mount -t tmpfs -o ro,size=1g tmpfs /dev/shm")
    assert ("limited", "cannot be written: DataLoader workers cannot hand over their batches") in (
        said_of(shut, "/dev/shm")
    )
    # While it is recorded there, only this container sees it.
    alone = inside(tmp_path, "true", *PIDS, "--mount-proc", record_on="tmpfs")
    (volume,) = said_of(alone, "volume")
    assert "in this container's /dev/shm" in volume[1]
    assert said_of(inside(tmp_path, "true", record_on="tmpfs"), "volume") == []


@needs_mounts
def test_control_groups_that_are_not_mounted(tmp_path: Path) -> None:
    hidden = inside(tmp_path, "mount -t tmpfs tmpfs /sys/fs/cgroup")
    (groups,) = said_of(hidden, "control groups")
    assert groups[0] == "limited"
    assert "a CPU quota would not be known" in groups[1]


@needs_mounts
def test_runs_in_the_layer_of_a_container(tmp_path: Path) -> None:
    layer = (
        "mount -t tmpfs t layers; mkdir layers/up layers/work layers/low layers/all;"
        "mount -t overlay o -o lowerdir=layers/low,upperdir=layers/up,workdir=layers/work "
        "layers/all"
    )
    (tmp_path / "layers").mkdir()
    tried = subprocess.run(["unshare", "--mount", "sh", "-c", layer], cwd=tmp_path)
    if tried.returncode != 0:
        pytest.skip("overlays are not permitted here")
    found = inside(tmp_path, f"{layer}; export RUNS=layers/all/runs")
    (volume,) = said_of(found, "volume")
    assert volume[0] == "limited"
    assert "in this container's own layer" in volume[1]
