# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: what `datastall run` samples, against nvidia-smi.

Runs tests/gpu/loop.py starved and fed, with nvidia-smi reading twice a second beside it, and prints
both over the same window. Fails when they differ by more than their different moments explain, when
the energy is not nvidia-smi's mean power over the time, or when the stall is not told by events.
Where the GPU counts its activity itself, busy is printed beside nvidia-smi's utilisation and not
compared: check_activity.py compares it with a kernel trace.

python tests/gpu/check_sampling.py [SECONDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from checks import datastall, first_gpu_only, need_gpus, need_program, nvidia_smi, shown

HERE = Path(__file__).parent
QUERY = "timestamp,utilization.gpu,memory.used,power.draw,temperature.gpu,clocks.sm"


def run(mode: str, seconds: str, folder: str) -> tuple[dict[str, Any], list[list[float]]]:
    """(document, rows of nvidia-smi with the real time in seconds first)."""
    smi = nvidia_smi(QUERY, 500)
    loop = [sys.executable, str(HERE / "loop.py"), mode, seconds]
    options = ("--quiet", "--dir", folder, "--name", mode)
    datastall("run", *options, *loop, env=first_gpu_only())
    smi.terminate()
    rows = []
    for line in smi.communicate()[0].splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 6:
            moment = datetime.strptime(cells[0], "%Y/%m/%d %H:%M:%S.%f")
            rows.append([moment.timestamp(), *map(float, cells[1:])])
    print(datastall("show", "--dir", folder))
    return shown(folder), rows


def gpu_s(gpu: dict[str, Any]) -> float:
    """The time observed."""
    return float(gpu["busy_s"] + gpu["idle_s"] + gpu["unknown_s"])


def main() -> int:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "15"
    need_gpus(1)
    need_program("nvidia-smi")
    failures = 0
    for mode in ("starved", "fed"):
        with tempfile.TemporaryDirectory() as folder:
            document, rows = run(mode, seconds, folder)
        started = datetime.fromisoformat(document["run"]["started_at"].rstrip("Z"))
        begin = started.replace(tzinfo=timezone.utc).timestamp() + document["run"]["setup_s"]
        end = begin + document["window"]["duration_s"]
        inside = [row for row in rows if begin <= row[0] <= end]
        gpu = document["gpus"][0]
        pairs = [  # what, ours, theirs, allowed difference
            (
                f"busy ({gpu['busy_source']}), percent, mean",
                100 * gpu["busy_share"],
                statistics.mean(row[1] for row in inside),
                6.0 if gpu["busy_source"] == "nvml" else 100.0,
            ),
            (
                "energy, J",
                gpu["energy_j"],
                statistics.mean(row[3] for row in rows) * gpu_s(gpu),
                0.1 * gpu["energy_j"],
            ),
            (
                "memory, MiB, peak",
                gpu["mem_used_peak_bytes"] / 2**20,
                max(row[2] for row in rows),
                64,
            ),
            ("power, W, max", gpu["power_w_max"], max(row[3] for row in rows), 120.0),
            ("temperature, C, max", gpu["temperature_c_max"], max(row[4] for row in rows), 3.0),
        ]
        for what, ours, theirs, allowed in pairs:
            differs = abs(ours - theirs) > allowed
            failures += differs
            print(f"{mode}: {what}: {ours:.1f}, nvidia-smi {theirs:.1f}{'  <--' * differs}")
        verdict = document["verdict"]
        failures += verdict["method"] != "gpu-events"
    print(f"{failures} differences from nvidia-smi, starved and fed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
