# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: torch.profiler inside a program under `datastall run`.

The program profiles itself with the default activities. Its trace must hold every kernel that it
launched, and datastall's stall share must be within half a point of the trace's.

python tests/gpu/check_profiler.py [SECONDS]
"""

from __future__ import annotations

import json
import sys
import tempfile

import torch
from checks import datastall, need_gpus, shown
from gpu_loops import Gpu, every, make_loader, plain, run_plain, truth_of, waited
from torch.profiler import ProfilerActivity, profile

PRODUCTS = 12


def program(seconds: float) -> None:
    """What `datastall run` starts: prints {"share", "launched", "traced"}."""
    gpu = Gpu()
    gpu.work(5)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace:
        run_plain(make_loader(every(0.008)), plain(gpu, PRODUCTS, sync=False), seconds)
        torch.cuda.synchronize()
    idle_ns, _ = truth_of(trace)
    window_ns = waited[-1][1] - waited[0][0]
    # Each product is followed by a tanh, whose kernel has one name on every GPU.
    traced = sum(
        "tanh" in event.name().lower()
        for event in trace.profiler.kineto_results.events()
        if event.device_type() == torch.autograd.DeviceType.CUDA
    )
    launched = (len(waited) - 2) * PRODUCTS  # the first wait is iter(), the last one the end
    print(json.dumps({"share": idle_ns / window_ns, "launched": launched, "traced": traced}))


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    if len(sys.argv) > 2:
        program(seconds)
        return 0
    need_gpus(1)
    with tempfile.TemporaryDirectory() as folder:
        inner = [sys.executable, __file__, str(seconds), "program"]
        out = datastall("run", "--quiet", "--dir", folder, *inner)
        verdict = shown(folder)["verdict"]
    found = json.loads(out.splitlines()[-1])
    ours, truth = 100 * verdict["worst_share"], 100 * found["share"]
    whole = found["traced"] == found["launched"] > 0
    ok = abs(ours - truth) <= 0.5 and whole and verdict["method"] == "gpu-events"
    print(
        f"{found['traced']} of {found['launched']} tanh kernels in the trace; "
        f"stall {ours:.2f} %, trace {truth:.2f} % ({verdict['method']})"
        f"{'' if ok else ': DIFFERS'}"
    )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
