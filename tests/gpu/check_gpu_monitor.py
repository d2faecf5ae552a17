# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: datastall.gpu_monitor against nvidia-smi.

A starved and a fed loop of tests/gpu/loop.py's kind run in this process with an NvitopMonitor;
nvidia-smi reads beside it. Each of our samples is compared with the reading of nvidia-smi nearest
in time, at most 0.3 s away, from the first third of the loop on. check_bottleneck() must say
critical in the starved loop and none in the fed one.

python tests/gpu/check_gpu_monitor.py [SECONDS]
"""

from __future__ import annotations

import csv
import os
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import torch
from checks import first_gpu_only, forget_run, need_gpus, need_program, nvidia_smi
from datastall.gpu_monitor import NvitopMonitor
from loop import Items
from torch.utils.data import DataLoader

QUERY = "timestamp,utilization.gpu,memory.used,power.draw,temperature.gpu"


def run_loop(monitor: NvitopMonitor, mode: str, seconds: float) -> None:
    item_s = {"starved": 0.016, "fed": 0.0002}[mode]
    size = {"starved": 4096, "fed": 8192}[mode]
    loader = DataLoader(Items(item_s), batch_size=8, num_workers=4, pin_memory=True)
    weight = torch.randn(size, size, device="cuda")
    state = torch.randn(size, size, device="cuda")
    end = time.monotonic() + seconds
    batches = iter(loader)
    for index in range(1 << 30):
        began = time.perf_counter()
        batch = next(batches)
        monitor.record_dataloader_wait((time.perf_counter() - began) * 1e3, index, len(batch))
        batch = batch.to("cuda", non_blocking=True)
        for _ in range(2 if mode == "starved" else 12):
            state = torch.tanh(state @ weight) + batch.mean()
        float(state[0, 0])
        if time.monotonic() > end:
            return


def check(mode: str, seconds: float) -> int:
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "gpu.log"
        smi = nvidia_smi(QUERY, 200)
        monitor = NvitopMonitor([0], log_interval=0.25, log_file=log)
        monitor.start_monitoring()
        monitor.set_stage(mode)
        run_loop(monitor, mode, seconds)
        _, level, mean = monitor.check_bottleneck(recent_samples=20)
        stats = monitor.stop_monitoring()
        smi.terminate()
        theirs = []
        for line in smi.communicate()[0].splitlines():
            cells = [cell.strip() for cell in line.split(",")]
            if len(cells) == 5:
                moment = datetime.strptime(cells[0], "%Y/%m/%d %H:%M:%S.%f").timestamp()
                theirs.append([moment, *map(float, cells[1:])])
        ours = [
            [float(row[0]), float(row[2]), float(row[3]), float(row[6]), float(row[5])]
            for row in csv.reader(log.read_text().splitlines())
            if not row[0].startswith("#")
        ]
    print(f"{mode}: check_bottleneck says {level} ({mean:.1f} %)")
    failures += level != {"starved": "critical", "fed": "none"}[mode]
    waits = stats["dataloader"]
    print(f"{mode}: {waits['total_batches']} batches, mean wait {waits['avg_wait_time_ms']:.2f} ms")
    differences: dict[str, list[float]] = {}
    for row in ours[len(ours) // 3 :]:
        nearest = min(theirs, key=lambda other: abs(other[0] - row[0]))
        if abs(nearest[0] - row[0]) > 0.3:
            continue
        for name, a, b in zip(
            ("util", "memory", "power", "temp"), row[1:], nearest[1:], strict=True
        ):
            differences.setdefault(name, []).append(a - b)
    allowed = {"util": 6.0, "memory": 2.0, "power": 30.0, "temp": 1.0}
    units = {"util": "%", "memory": "MiB", "power": "W", "temp": "C"}
    for name, values in differences.items():
        median = statistics.median(values)
        worst = max(abs(value) for value in values)
        failures += abs(median) > allowed[name]
        print(
            f"{mode}: {name}: {len(values)} pairs, median difference {median:+.1f} {units[name]}, "
            f"largest {worst:.1f}"
        )
    return failures


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    forget_run()
    os.environ.update(first_gpu_only())  # before CUDA starts
    need_gpus(1)
    need_program("nvidia-smi")
    failures = sum(check(mode, seconds) for mode in ("starved", "fed"))
    print(f"{failures} differences from nvidia-smi, starved and fed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
