# SPDX-License-Identifier: Apache-2.0
"""Starts and ends GPU sampling again and again: does anything die of it?

    python bench/sampler_loop.py [STARTS [SECONDS]]

STARTS times each (default 200, within SECONDS, default 1200, in all): `datastall run` with four and
with eight devices, and a program that samples for itself, by its process and by a thread. With the
fake driver of tests/fake, which dies when two threads are in GPM, as the real one does; on a
machine with GPUs with those that it has. Prints a line for each, and ends with 1 when one start
failed or a process was left over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FAKE = Path(__file__).parents[1] / "tests" / "fake" / "nvml.c"
DATASTALL = str(Path(sys.executable).parent / "datastall")
CODE = 7
PROGRAM = f"""
import datastall, sys, time
for _ in datastall.watch([1, 2, 3]):
    time.sleep(0.05)
sys.exit({CODE})
"""


def left_over(mark: str) -> int:
    count = 0
    for entry in Path("/proc").iterdir():
        try:
            if (entry / "cmdline").read_bytes() == b"datastall\0sample\0":
                count += mark.encode() in (entry / "environ").read_bytes()
        except OSError:
            continue
    return count


def fake_driver(folder: str, devices: int) -> dict[str, str]:
    library = Path(folder) / "libnvidia-ml.so.1"
    if not library.exists():
        options = ["-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O2"]
        subprocess.run(["cc", *options, str(FAKE), "-o", str(library)], check=True)
    script = Path(folder) / f"{devices}.script"
    lines = [f"devices {devices}", "delay_us gpm_sample 200"]
    lines += [f"{word} {i} 50" for i in range(devices) for word in ("utilization", "gpm_activity")]
    script.write_text("".join(f"{line}\n" for line in lines))
    return {"LD_LIBRARY_PATH": folder, "FAKE_NVML": str(script)}


def sampled(runs: str) -> int:
    """Devices that the newest run has figures of; -1: it says that sampling ended."""
    show = [DATASTALL, "show", "--json", "--dir", runs]
    document = json.loads(subprocess.run(show, check=True, stdout=subprocess.PIPE).stdout)
    if document["gpu_sampling"]["state"] != "ok":
        return -1
    return sum(gpu["samples"] > 0 for gpu in document["gpus"])


def loop(name: str, argv: list[str], extra: dict[str, str], starts: int, until_s: float) -> int:
    codes: dict[int, int] = {}
    figures: dict[int, int] = {}
    mark = f"DATASTALL_BENCH={os.getpid()}"
    with tempfile.TemporaryDirectory() as runs:
        environment = {**os.environ, **extra, "DATASTALL_DIR": runs}
        environment["DATASTALL_BENCH"] = str(os.getpid())
        for i in range(starts):
            if time.monotonic() > until_s:
                print(f"{name}: the time is up after {i} of {starts} starts")
                break
            code = subprocess.run(argv, env=environment, check=False).returncode
            codes[code] = codes.get(code, 0) + 1
            devices = sampled(runs)
            figures[devices] = figures.get(devices, 0) + 1
    end_s = time.monotonic() + 20
    while left_over(mark) and time.monotonic() < end_s:
        time.sleep(0.1)
    left = left_over(mark)
    print(f"{name}: exit codes {codes}, devices with figures {figures}, left over {left}")
    return int(set(codes) != {CODE} or -1 in figures or left > 0)


def main() -> int:
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    until_s = time.monotonic() + (float(sys.argv[2]) if len(sys.argv) > 2 else 1200)
    real = Path("/proc/driver/nvidia/version").exists()
    shell = ["sh", "-c", f"sleep 0.15; exit {CODE}"]
    launched, itself = [DATASTALL, "run", "-q", *shell], [sys.executable, "-c", PROGRAM]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for devices in (0,) if real else (4, 8):
            extra = {} if real else fake_driver(folder, devices)
            which = "real devices" if real else f"{devices} devices"
            thread = extra | {"DATASTALL_PROGRAM": "/no/such/program"}
            failed += loop(f"datastall run, {which}", launched, extra, starts, until_s)
            failed += loop(f"in the program, by a process, {which}", itself, extra, starts, until_s)
            failed += loop(f"in the program, by a thread, {which}", itself, thread, starts, until_s)
    print("ok" if failed == 0 else f"{failed} FAILED")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
