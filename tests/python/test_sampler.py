# SPDX-License-Identifier: Apache-2.0
"""Sampling that cannot hurt: a driver's library that crashes, hangs or leaves, under the launcher
and within a program, costs the GPUs' figures and nothing else (tests/fake/nvml.c)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import (
    DATASTALL,
    PYTHON,
    Ended,
    command,
    datastall,
    finish,
    only,
    recorded,
    run_folders,
    shown,
    shown_text,
    start,
    without_torch,
    write,
)

Fake = Callable[..., dict[str, str]]

#: What the sampler calls of NVML.
FUNCTIONS = (
    *("nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetUUID"),
    *("nvmlDeviceGetName", "nvmlDeviceGetMigMode", "nvmlGpmQueryDeviceSupport"),
    *("nvmlGpmSampleAlloc", "nvmlGpmSampleGet", "nvmlGpmMetricsGet"),
    *("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetTemperature"),
    *("nvmlDeviceGetPowerUsage", "nvmlDeviceGetClockInfo"),
    "nvmlDeviceGetCurrentClocksEventReasons",
)
#: Before a device is asked for anything.
OPENING = (*FUNCTIONS[:3], "nvmlDeviceGetMigMode")

LOOP = """
import datastall, time
for _ in datastall.watch(time.sleep(0.01) for _ in range(50)):
    pass
"""


def several(count: int, *more: str) -> list[str]:
    lines = [f"devices {count}"]
    for i in range(count):
        lines += [f"utilization {i} {i}", f"gpm_activity {i} {10000 * i}", f"power_mw {i} 100000"]
    return [*lines, *more]


def run(folder: Path, extra: dict[str, str], script: str = "sleep 0.4; exit 5") -> Ended:
    ended = datastall("run", "-q", "sh", "-c", script, folder=folder, extra=extra)
    assert ended.code == 5, ended.err
    return ended


def samplers(extra: dict[str, str]) -> list[int]:
    """The sampler processes that a test's programs have."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if (entry / "cmdline").read_bytes() != b"datastall\0sample\0":
                continue
            if extra["FAKE_NVML"].encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)  # many conditions start a program
    return value


def newest(folder: Path) -> dict[str, Any] | None:
    """The document of the run under way, once there is one."""
    ended = datastall("show", "--json", folder=folder) if run_folders(folder) else None
    return json.loads(ended.out) if ended is not None and ended.code == 0 else None


def run_until(condition: Callable[[], Any], folder: Path, extra: dict[str, str]) -> dict[str, Any]:
    """A command that ends, with code 5, once the condition holds; the document of its run."""
    script = "until [ -e go ]; do sleep 0.05; done; exit 5"
    process = start([DATASTALL, "run", "-q", "sh", "-c", script], folder, extra)
    try:
        until(condition)
    finally:
        (folder / "go").touch()
    ended = finish(process)
    assert (ended.code, ended.err) == (5, "")
    return shown(folder)


def run_until_ended(folder: Path, extra: dict[str, str]) -> dict[str, Any]:
    """Until the GPUs are sampled no more."""

    def ended() -> bool:
        document = newest(folder)
        return document is not None and document["gpu_sampling"]["state"] == "ended"

    return run_until(ended, folder, extra)


# ---- the library crashes ----


@pytest.mark.parametrize("count", [4, 8])
def test_the_code_is_the_commands_every_time(tmp_path: Path, fake_nvml: Fake, count: int) -> None:
    extra = fake_nvml(*several(count))
    for i in range(10):
        run(tmp_path, extra, "sleep 0.15; exit 5")
        document = shown(tmp_path)
        assert document["gpu_sampling"] == {"state": "ok", "error": None, "ended": None}, i
        assert [gpu["state"] for gpu in document["gpus"]] == ["ok"] * count, i
    until(lambda: not samplers(extra))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_crashes(tmp_path: Path, fake_nvml: Fake, function: str) -> None:
    call = 1 if function in ("nvmlInit", "nvmlDeviceGetCount") else 3
    document = run_until_ended(tmp_path, fake_nvml(*several(4, f"die {function} {call} 11")))
    sentence = "signal 11 in the driver's library"
    assert document["gpu_sampling"] == {"state": "ended", "error": None, "ended": sentence}
    assert document["run"]["exit_status"] == 5
    assert f"GPU sampling ended: {sentence}" in shown_text(tmp_path)
    if function in OPENING:
        assert document["gpus"] == []
    else:
        assert "silent" not in [gpu["state"] for gpu in document["gpus"]]


def test_what_was_sampled_stays(tmp_path: Path, fake_nvml: Fake) -> None:
    """The third round does not come to its end: two samples of all, three of the first two."""
    extra = fake_nvml(*several(4, "die nvmlGpmSampleGet 11 6"))
    gpus = run_until_ended(tmp_path, extra)["gpus"]
    assert [gpu["samples"] for gpu in gpus] == [3, 3, 2, 2]
    assert [gpu["busy_share"] for gpu in gpus] == [pytest.approx(0.1 * i) for i in range(4)]
    assert "GPU sampling ended: signal 6 in the driver's library" in shown_text(tmp_path)


@pytest.mark.parametrize(
    ("mishap", "sentence"),
    [
        ("leave nvmlDeviceGetPowerUsage 2 3", "the driver's library called exit()"),
        ("die nvmlDeviceGetPowerUsage 2 9", "its process was killed"),
    ],
)
def test_it_leaves(tmp_path: Path, fake_nvml: Fake, mishap: str, sentence: str) -> None:
    document = run_until_ended(tmp_path, fake_nvml(*several(4, mishap)))
    assert document["gpu_sampling"]["ended"] == sentence
    assert f"GPU sampling ended: {sentence}" in shown_text(tmp_path)


def test_every_other_figure_is_as_without(tmp_path: Path, fake_nvml: Fake) -> None:
    write(tmp_path, "prog.py", LOOP)
    for mishap in ("die any 40 11", "stick any 40", "leave any 40 0"):
        ended = recorded(tmp_path, "prog.py", extra=fake_nvml(*several(4, mishap)))
        assert ended.said == [] and "VERDICT" in ended.err
        document = shown(tmp_path)
        assert only(document["loaders"])["batches"] == 50
        assert document["verdict"]["method"] == "host-exact"
        assert document["damage"]["problems"] == 0


def test_the_launcher_does_not_load_the_library(tmp_path: Path, fake_nvml: Fake) -> None:
    extra = fake_nvml(*several(4))
    process = start([DATASTALL, "run", "-q", "sleep", "60"], tmp_path, extra)
    sampler = only(until(lambda: samplers(extra)))
    maps = Path(f"/proc/{sampler}/maps")
    until(lambda: "libnvidia-ml" in maps.read_text())
    assert "libnvidia-ml" not in Path(f"/proc/{process.pid}/maps").read_text()
    # Nothing of the launcher's is held open, no terminal is anywhere near.
    descriptors = sorted(os.listdir(f"/proc/{sampler}/fd"))
    assert [os.readlink(f"/proc/{sampler}/fd/{fd}") for fd in "012"] == ["/dev/null"] * 3
    assert descriptors == ["0", "1", "2", "3"]
    assert os.getsid(sampler) == sampler
    process.terminate()
    assert finish(process).code == 128 + signal.SIGTERM
    until(lambda: not samplers(extra))


# ---- the library hangs ----


def silent_in(folder: Path) -> list[int]:
    gpus = (newest(folder) or {"gpus": []})["gpus"]
    return [gpu["index"] for gpu in gpus if gpu["state"] == "silent"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_hangs(tmp_path: Path, fake_nvml: Fake, function: str) -> None:
    """In the first call of a run that ends at once. Metrics are asked for at the second sample:
    there the device had answered before, and is given time."""
    extra = fake_nvml(*several(4, f"stick {function} 1"))
    stuck = Path(extra["FAKE_NVML"] + ".stuck")
    late = stuck.exists if function != "nvmlGpmMetricsGet" else lambda: silent_in(tmp_path)
    document = run_until(late, tmp_path, extra)
    assert "did not answer" in shown_text(tmp_path)
    opening = function in OPENING
    assert document["gpu_sampling"]["state"] == ("starting" if opening else "ok")
    silent = [gpu["index"] for gpu in document["gpus"] if gpu["state"] == "silent"]
    assert silent == [] if opening else [0]
    until(lambda: not samplers(extra))


def test_a_call_that_had_just_begun(tmp_path: Path, fake_nvml: Fake) -> None:
    """When the run ends, one GPU is in its second call, which takes longer than the end waits."""
    extra = fake_nvml(*several(4, "slow utilization 2 300000 2"))
    begun = Path(extra["FAKE_NVML"] + ".slow").exists
    gpus = run_until(begun, tmp_path, extra)["gpus"]
    assert [gpu["state"] for gpu in gpus] == ["ok"] * 4
    assert min(gpu["samples"] for gpu in gpus) >= 1
    assert "did not answer" not in shown_text(tmp_path)
    until(lambda: not samplers(extra))


def test_a_call_that_is_as_slow_as_usual(tmp_path: Path, fake_nvml: Fake) -> None:
    """Each takes 0.4 s, so that one of 0.8 s is none that hangs."""
    slow = ("delay_us utilization 400000", "slow utilization 0 400000 2")
    extra = fake_nvml("devices 1", "utilization 0 30", *slow)
    begun = Path(extra["FAKE_NVML"] + ".slow").exists
    assert only(run_until(begun, tmp_path, extra)["gpus"])["state"] == "ok"
    until(lambda: not samplers(extra))


def test_a_call_that_hangs_after_others(tmp_path: Path, fake_nvml: Fake) -> None:
    extra = fake_nvml("devices 1", "utilization 0 30", "hang utilization 0 2")
    gpu = only(run_until(lambda: silent_in(tmp_path), tmp_path, extra)["gpus"])
    assert (gpu["state"], gpu["samples"]) == ("silent", 1)
    assert "did not answer its last call" in shown_text(tmp_path)
    until(lambda: not samplers(extra))


@pytest.mark.parametrize("mishap", ["hang utilization 1 2", "hang identity 1"])
def test_the_others_go_on(tmp_path: Path, fake_nvml: Fake, mishap: str) -> None:
    """The one that hangs is left out, by another process."""
    extra = fake_nvml(*several(4, mishap))

    def others_went_on() -> bool:
        gpus = (newest(tmp_path) or {"gpus": []})["gpus"]
        return len(gpus) == 4 and gpus[3]["samples"] >= 4

    gpus = run_until(others_went_on, tmp_path, extra)["gpus"]
    assert [gpu["state"] for gpu in gpus] == ["ok", "silent", "ok", "ok"]
    assert gpus[1]["samples"] == (1 if "2" in mishap else 0)
    assert [gpus[i]["busy_share"] for i in (0, 2, 3)] == [pytest.approx(0.1 * i) for i in (0, 2, 3)]
    assert "did not answer its last call" in shown_text(tmp_path)
    until(lambda: not samplers(extra))


# ---- how it ends ----


@pytest.mark.whole_start  # a thread of it looks for NVML where the loader looked at first
@pytest.mark.parametrize("mishap", [(), ("stick nvmlDeviceGetPowerUsage 1",), ("hang init",)])
@pytest.mark.parametrize("launched", [True, False])
def test_none_is_left_when_its_host_is_killed(
    tmp_path: Path, fake_nvml: Fake, launched: bool, mishap: tuple[str, ...]
) -> None:
    """Also where a forked child of the host holds on to all that its parent had."""
    extra = fake_nvml(*several(4, *mishap))
    source = """
    import os, time, datastall
    for _ in datastall.watch([1]):
        pass
    time.sleep(0.3)
    if os.fork() == 0:
        open("forked", "w").write(str(os.getpid()))
    time.sleep(100)
    """
    write(tmp_path, "prog.py", source)
    argv = [DATASTALL, "run", "-q"] if launched else []
    process = start([*argv, PYTHON, "prog.py"], tmp_path, extra)
    try:
        until(lambda: samplers(extra))
        until(lambda: (tmp_path / "forked").exists() and (tmp_path / "forked").read_text())
        process.kill()
        process.wait()
        until(lambda: not samplers(extra))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_signal_for_all_is_not_for_it(tmp_path: Path, fake_nvml: Fake) -> None:
    extra = fake_nvml(*several(4))
    script = "trap '' INT TERM HUP; touch ready; sleep 100 & wait $!; exit 5"
    process = start([DATASTALL, "run", "-q", "sh", "-c", script], tmp_path, extra)
    sampler = only(until(lambda: samplers(extra)))
    until(lambda: (tmp_path / "ready").exists())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        os.kill(sampler, number)
    until(lambda: (document := newest(tmp_path)) and document["gpus"][3]["samples"] >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    until(lambda: not samplers(extra))


def test_a_pipeline_ends(tmp_path: Path, fake_nvml: Fake) -> None:
    """Although the driver hangs: nobody but the command holds its standard output."""
    extra = fake_nvml(*several(2, "stick nvmlDeviceGetPowerUsage 1"))
    ended = command(["sh", "-c", f"'{DATASTALL}' run -q echo hello | cat"], tmp_path, extra)
    assert ended.out == "hello\n"


# ---- within a program ----

#: A program that looks for everything that a child of its own would show it.
WATCHFUL = """
import ctypes, os, signal, subprocess, sys, time, warnings
import datastall

# Python 3.12 and later says so of the thread that is ours (docs/measuring.md).
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

{before}
ended = []
signal.signal(signal.SIGCHLD, lambda number, frame: ended.append(number))

def nobody():
    try:
        os.waitpid(-1, os.WNOHANG)
        return False
    except ChildProcessError:
        return True

for _ in datastall.watch(time.sleep(0.01) for _ in range(50)):
    assert nobody()
deadline = time.monotonic() + 60
while not datastall.summary()["gpus"] and time.monotonic() < deadline and {waits}:
    time.sleep(0.05)
assert nobody() and ended == [], ended
try:
    os.wait()
    sys.exit("a child was there")
except ChildProcessError:
    pass
child = os.fork()
if child == 0:
    os._exit(3)
assert os.wait() == (child, 3 << 8)
assert subprocess.run(["sh", "-c", "exit 4"]).returncode == 4
assert len(ended) == 2, ended
"""

MISHAPS = {
    "none": (),
    "crash": ("die any 60 11",),
    "hang": ("stick nvmlDeviceGetUtilizationRates 3",),
    "hang at once": ("stick nvmlInit 1",),
}


@pytest.mark.parametrize("name", MISHAPS)
def test_a_program_does_not_notice(tmp_path: Path, fake_nvml: Fake, name: str) -> None:
    source = WATCHFUL.format(before="", waits=name == "none")
    write(tmp_path, "prog.py", source)
    extra = fake_nvml(*several(4, *MISHAPS[name]))
    ended = command([PYTHON, "prog.py"], tmp_path, extra)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    document = shown(tmp_path)
    assert only(document["loaders"])["batches"] == 50
    if name == "crash":
        assert document["gpu_sampling"]["ended"] == "signal 11 in the driver's library"
    until(lambda: not samplers(extra))


#: With each of these the program has no process that could sample for it unseen.
WITHOUT = {
    "no program": {"DATASTALL_PROGRAM": "/no/such/program"},
    "another program": {"DATASTALL_PROGRAM": "/bin/true"},
    "subreaper": {},
}


@pytest.mark.whole_start  # a thread of it looks for NVML where the loader looked at first
@pytest.mark.parametrize("name", WITHOUT)
def test_a_thread_serves_where_no_process_can(tmp_path: Path, fake_nvml: Fake, name: str) -> None:
    """One for all devices: the library would not survive two."""
    extra = fake_nvml(*several(8)) | WITHOUT[name]
    reaper = "assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0" if name == "subreaper" else ""
    write(tmp_path, "prog.py", WATCHFUL.format(before=reaper, waits=True))
    ended = command([PYTHON, "prog.py"], tmp_path, extra)
    assert (ended.code, ended.err) == (0, "")
    assert [gpu["state"] for gpu in shown(tmp_path)["gpus"]] == ["ok"] * 8


@pytest.mark.whole_start  # a thread of it looks for NVML where the loader looked at first
def test_several_at_once_in_one_program(tmp_path: Path, fake_nvml: Fake) -> None:
    """By threads: two monitors, the hooks and a question, and no two in the library."""
    source = """
    import os, time, datastall
    from datastall.gpu_monitor import GPUMonitor, NvitopMonitor
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    monitors = [NvitopMonitor([0, 1, 2, 3], 0.05, f"{i}.log") for i in range(3)]
    for monitor in monitors:
        monitor.start_monitoring()
    for i in datastall.watch(range(10)):
        GPUMonitor([0]).get_current_stats()
        time.sleep(0.05)
    for monitor in monitors:
        statistics = monitor.stop_monitoring()
        assert all(statistics[i]["sample_count"] > 1 for i in range(4)), statistics
    """
    write(tmp_path, "prog.py", source)
    memory = [f"memory_{word} {i} 1" for i in range(4) for word in ("used", "total")]
    extra = fake_nvml(*several(4, *memory))
    for program in ({}, {"DATASTALL_PROGRAM": "/no/such/program"}):
        ended = command([PYTHON, "prog.py"], tmp_path, extra | program)
        assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.whole_start  # a thread of it looks for NVML where the loader looked at first
def test_the_fake_dies_of_two_threads(tmp_path: Path, fake_nvml: Fake) -> None:
    source = """
    import ctypes, threading
    nvml = ctypes.CDLL("libnvidia-ml.so.1")
    nvml.nvmlInit_v2()
    def sample():
        one = ctypes.c_void_p()
        for _ in range(1000):
            nvml.nvmlGpmSampleAlloc(ctypes.byref(one))
    for _ in range(2):
        threading.Thread(target=sample).start()
    """
    write(tmp_path, "prog.py", source)
    assert command([PYTHON, "prog.py"], tmp_path, fake_nvml(*several(2))).code == -signal.SIGSEGV


MONITOR = """
import time
from datastall.gpu_monitor import GPUMonitor, NvitopMonitor
monitor = NvitopMonitor([0, 1], 0.05, "log")
monitor.start_monitoring()
for i in range(20):
    monitor.record_dataloader_wait(1.0, i, 4)
    time.sleep(0.02)
begin = time.monotonic()
assert monitor.stop_monitoring()["dataloader"]["total_batches"] == 20
print(time.monotonic() - begin)
print(GPUMonitor([]).get_current_stats())
"""


@pytest.mark.parametrize("mishap", ["die any 60 11", "stick any 60", "leave any 60 1"])
def test_a_gpu_monitor_does_not_notice(tmp_path: Path, fake_nvml: Fake, mishap: str) -> None:
    write(tmp_path, "prog.py", MONITOR)
    ended = command([PYTHON, "prog.py"], tmp_path, fake_nvml(*several(2, mishap)))
    assert ended.code == 0, ended.err
    assert float(ended.out.split()[0]) < 5  # 100 ms, on a machine that has time
    log = (tmp_path / "log").read_text()
    assert ("# GPU sampling ended: signal 11 in the driver's library" in log) == ("die" in mishap)


@pytest.mark.parametrize(
    "mishap", ["die nvmlDeviceGetUUID 1 11", "die nvmlInit 1 6", "leave nvmlInit 1 0"]
)
def test_doctor_survives(tmp_path: Path, fake_nvml: Fake, mishap: str) -> None:
    extra = fake_nvml(*several(2, mishap)) | without_torch(tmp_path)
    ended = datastall("doctor", folder=tmp_path, extra=extra)
    assert ended.code == 0
    assert re.search(r"^missing +NVML +the driver's library broke off", ended.out, re.MULTILINE)
    assert "/dev/shm" in ended.out  # it went on to the end


def test_its_command_is_not_for_people(tmp_path: Path) -> None:
    ended = datastall("sample", folder=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "datastall starts this itself" in only(ended.said)
    assert "sample" not in datastall("help", folder=tmp_path).out.split()


# ---- a launcher at its limits ----


@pytest.mark.parametrize(
    "limit", ["ulimit -f 1024", "ulimit -n 4", "ulimit -n 6", "ulimit -v 30000"]
)
def test_a_command_runs_whatever_the_limit(tmp_path: Path, fake_nvml: Fake, limit: str) -> None:
    script = f"{limit}; exec '{DATASTALL}' run sh -c 'echo hello; exit 7'"
    ended = command(["bash", "-c", script], tmp_path, fake_nvml(*several(4)))
    assert (ended.code, ended.out) == (7, "hello\n")
    assert only(ended.said)
    if limit in ("ulimit -f 1024", "ulimit -n 4"):
        assert only(ended.said).endswith("; the command runs without recording")
        assert run_folders(tmp_path) == []


@pytest.fixture(scope="session")
def limits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("limits") / "limits.so"
    source = str(Path(__file__).parents[1] / "fake" / "limits.c")
    options = ["-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC"]
    subprocess.run(["cc", *options, source, "-o", str(library), "-ldl"], check=True)
    return library


@pytest.mark.parametrize("refused", ["fork", "pipe2", "pthread_create", "socketpair", "clone"])
def test_a_command_runs_whatever_fails(
    tmp_path: Path, fake_nvml: Fake, limits: Path, refused: str
) -> None:
    extra = fake_nvml(*several(2)) | {"LD_PRELOAD": str(limits), "FAKE_LIMITS": refused}
    words = ["env", "-u", "LD_PRELOAD", "sh", "-c", "echo hello; sleep 0.2; exit 7"]
    ended = datastall("run", *words, folder=tmp_path, extra=extra)
    assert (ended.code, ended.out) == (7, "hello\n")
    if refused in ("fork", "pipe2"):
        assert only(ended.said).endswith("; the command runs without recording")
        assert run_folders(tmp_path) == []
    else:
        ended_by = shown(tmp_path)["gpu_sampling"]["ended"]
        assert ended_by.startswith("its thread" if refused == "pthread_create" else "its process")


@pytest.mark.parametrize("refused", ["pthread_create", "socketpair", "clone"])
def test_a_program_is_recorded_whatever_fails(
    tmp_path: Path, fake_nvml: Fake, limits: Path, refused: str
) -> None:
    write(tmp_path, "prog.py", LOOP)
    extra = fake_nvml(*several(2)) | {"LD_PRELOAD": str(limits), "FAKE_LIMITS": refused}
    ended = command([PYTHON, "prog.py"], tmp_path, extra)
    assert ended.code == 0, ended.err
    document = shown(tmp_path)
    assert only(document["loaders"])["batches"] == 50
    if refused == "pthread_create":
        assert "the GPUs are not sampled" in only(ended.said)
        assert document["gpu_sampling"]["ended"].startswith("its thread could not be started")
    else:
        assert [gpu["state"] for gpu in document["gpus"]] == ["ok"] * 2  # by a thread


def test_a_program_whose_files_may_not_grow(tmp_path: Path, fake_nvml: Fake) -> None:
    source = """
    import resource, signal, datastall
    from datastall.gpu_monitor import NvitopMonitor
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    monitor = NvitopMonitor([0], 0.05, "log")
    monitor.start_monitoring()
    for _ in datastall.watch(range(10)):
        monitor.record_dataloader_wait(1.0, 1, 1)
    monitor.stop_monitoring()
    try:
        monitor.export_metrics("exported")
    except OSError:
        print("refused")
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_DFL
    """
    write(tmp_path, "prog.py", source)
    ended = command([PYTHON, "prog.py"], tmp_path, fake_nvml(*several(2)))
    assert (ended.code, ended.out) == (0, "refused\n"), ended.err
    assert "File too large" in only(ended.said)
