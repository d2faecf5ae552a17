# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: how busy datastall says the GPU was, against a kernel trace.

Each loop runs in a process of its own, so that the window is the loop's. Truth is the union of all
GPU work in the window by torch.profiler's trace, gaps of up to 10 us merged. A loop passes when the
two are within 2 points and the source is GPM.

python tests/gpu/check_activity.py [SECONDS]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

import datastall
import torch
from checks import forget_run, need_gpus, program_name
from gpu_loops import Gpu, every, gpu_work, make_loader, plain, run_plain, union, waited
from torch.profiler import ProfilerActivity, profile

#: Name: seconds an item takes, products a step, a sync every step.
LOOPS = {
    "starved": (0.012, 6, False),
    "half fed": (0.010, 24, False),
    "fed, a sync every step": (0.0002, 30, True),
    "fed, async": (0.0002, 30, False),
}


def busy_share(trace: object, begin: int, end: int) -> float:
    inside = sum(max(0, min(e, end) - max(s, begin)) for s, e in union(gpu_work(trace)))
    return inside / (end - begin)


def measure(name: str, seconds: float) -> None:
    """In a process of its own: prints {"ours", "source", "trace"}."""
    item_s, products, sync = LOOPS[name]
    forget_run()
    gpu = Gpu()
    gpu.work(5)
    torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        datastall.install(folder)
        with profile(activities=[ProfilerActivity.CUDA]) as trace:
            run_plain(make_loader(every(item_s)), plain(gpu, products, sync), seconds)
            end = waited[-1][1]
            torch.cuda.synchronize()
        device = datastall.summary()["gpus"][0]
    truth = busy_share(trace, waited[0][0], end)
    print(
        json.dumps(
            {
                "ours": 100 * device["busy_share"],
                "source": device["busy_source"],
                "trace": 100 * truth,
                "gpm": device["gpm"],
            }
        )
    )


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 12.0
    if len(sys.argv) > 2:
        measure(sys.argv[2], seconds)
        return 0
    need_gpus(1)
    failures = 0
    worst = 0.0
    print(f"{program_name()}; busy, percent of the window")
    for name in LOOPS:
        command = [sys.executable, __file__, str(seconds), name]
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(ended.stdout.splitlines()[-1])
        worst = max(worst, abs(found["ours"] - found["trace"]))
        ok = abs(found["ours"] - found["trace"]) <= 2.0 and found["source"] == "gpm"
        failures += not ok
        print(
            f"{name:<24} {found['source']} {found['ours']:6.2f}  trace {found['trace']:6.2f}  "
            f"SM {found['gpm']['sm_share']}  {'ok' if ok else 'DIFFERS'}"
        )
    print(f"{len(LOOPS) - failures} of {len(LOOPS)} loops agree, at most {worst:.2f} points apart")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
