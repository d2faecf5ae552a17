# SPDX-License-Identifier: Apache-2.0
"""What sampling the GPUs costs: CPU time of the process beside the program and of the program's own
thread, at 1 Hz and at 10 Hz.

    python bench/sampler_cost.py [SECONDS [GPUS]]

Without a GPU it uses the fake driver of tests/fake with GPUS devices, whose calls cost next to
nothing: what is left is datastall's own part. On a machine with GPUs it samples those.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MARK = f"DATASTALL_BENCH={os.getpid()}"
FAKE = Path(__file__).parents[1] / "tests" / "fake" / "nvml.c"


def own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def sampler() -> Path | None:
    """The process that samples for this one, whose environment it has."""
    for entry in Path("/proc").iterdir():
        try:
            if (entry / "cmdline").read_bytes() != b"datastall\0sample\0":
                continue
            if MARK.encode() in (entry / "environ").read_bytes():
                return entry
        except OSError:
            continue
    return None


def cpu_s(process: Path | None) -> float:
    """By the scheduler's books, to the nanosecond; ticks are too coarse."""
    if process is None:
        return 0.0
    return int((process / "schedstat").read_text().split()[0]) * 1e-9


def measure(seconds: float) -> None:
    from datastall import _core

    os.environ.update([MARK.split("=")])
    for program in ("", "/no/such/program"):
        os.environ["DATASTALL_PROGRAM"] = program
        measure_one("process" if program == "" else "thread", seconds, _core)


def measure_one(kind: str, seconds: float, core: Any) -> None:
    count = len(core.visible_gpus())
    for rate_hz in (1.0, 10.0):
        monitor = core.Monitor(directory=tempfile.mkdtemp())
        monitor.sample_gpus(1.0 / rate_hz)
        time.sleep(1.5)  # opening the driver is paid once
        process = sampler()
        begin_own_s, begin_cpu_s, begin_s = own_cpu_s(), cpu_s(process), time.monotonic()
        time.sleep(seconds)
        passed_s = time.monotonic() - begin_s
        own, beside = (
            (own_cpu_s() - begin_own_s) / passed_s,
            (cpu_s(process) - begin_cpu_s) / passed_s,
        )
        per_sample_us = (own + beside) / (rate_hz * max(1, count)) * 1e6
        print(
            f"by a {kind}: {count} GPUs at {rate_hz:4.0f} Hz: "
            f"{100 * (own + beside):.3f} % of a core ({100 * own:.3f} in the program), "
            f"{per_sample_us:.0f} us a sample"
        )
        monitor.finish()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    devices = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    if "FAKE_NVML" not in os.environ and not Path("/proc/driver/nvidia/version").exists():
        with tempfile.TemporaryDirectory() as folder:
            library = f"{folder}/libnvidia-ml.so.1"
            options = ["-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O2"]
            subprocess.run(["cc", *options, str(FAKE), "-o", library], check=True)
            lines = [f"devices {devices}"]
            for i in range(devices):
                lines += [f"utilization {i} 50", f"gpm_activity {i} 50000", f"power_mw {i} 300000"]
                lines += [f"memory_used {i} 1024", f"memory_total {i} 4096", f"temperature {i} 50"]
                lines += [f"sm_clock {i} 1980", f"mem_clock {i} 2619", f"held {i} 0"]
            script = Path(folder) / "nvml.script"
            script.write_text("".join(f"{line}\n" for line in lines))
            extra = {"FAKE_NVML": str(script), "LD_LIBRARY_PATH": folder}
            print("the fake driver:")
            subprocess.run([sys.executable, *sys.argv], check=True, env=os.environ | extra)
        return
    measure(seconds)


if __name__ == "__main__":
    main()
