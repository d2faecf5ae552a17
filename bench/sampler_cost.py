"""What sampling the GPUs costs: CPU time of a process that only samples, at 1 Hz and at 10 Hz.

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

FAKE = Path(__file__).parents[1] / "tests" / "fake" / "nvml.c"


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(seconds: float) -> None:
    from datastall import _core

    count = len(_core.visible_gpus())
    for rate_hz in (1.0, 10.0):
        monitor = _core.Monitor(directory=tempfile.mkdtemp())
        monitor.sample_gpus(1.0 / rate_hz)
        time.sleep(1.5)  # opening the driver is paid once
        begin_cpu_s, begin_s = cpu_s(), time.monotonic()
        time.sleep(seconds)
        share = (cpu_s() - begin_cpu_s) / (time.monotonic() - begin_s)
        per_sample_us = share / (rate_hz * max(1, count)) * 1e6
        print(
            f"{count} GPUs at {rate_hz:4.0f} Hz: {100 * share:.3f} % of a core, "
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
