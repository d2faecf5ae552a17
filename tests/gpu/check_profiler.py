"""On a machine with an NVIDIA GPU: torch.profiler inside a program under `datastall run`.

The program profiles itself with the default activities. Its trace must hold every kernel that it
launched, and datastall's stall share must be within half a point of the trace's.

python tests/gpu/check_profiler.py [SECONDS]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

import torch
from check_stalls import Gpu, every, make_loader, plain, run_plain, truth_of, waited
from torch.profiler import ProfilerActivity, profile

PRODUCTS = 12


def program(seconds: float) -> None:
    """What `datastall run` starts: prints {"share", "window_s", "kernels", "steps"}."""
    gpu = Gpu()
    gpu.work(5)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace:
        run_plain(make_loader(every(0.008)), plain(gpu, PRODUCTS, sync=False), seconds)
        torch.cuda.synchronize()
    idle_ns, _ = truth_of(trace)
    window_ns = waited[-1][1] - waited[0][0]
    products = sum(
        "gemm" in event.name().lower() or "cutlass" in event.name().lower()
        for event in trace.profiler.kineto_results.events()
        if event.device_type() == torch.autograd.DeviceType.CUDA
    )
    steps = len(waited) - 1  # one of them is iter()
    print(json.dumps({"share": idle_ns / window_ns, "products": products, "steps": steps}))


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    if len(sys.argv) > 2:
        program(seconds)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        inner = [sys.executable, __file__, str(seconds), "program"]
        command = ["datastall", "run", "--quiet", "--dir", folder, *inner]
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        show = ["datastall", "show", "--json", "--dir", folder]
        shown = subprocess.run(show, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(ended.stdout.splitlines()[-1])
    verdict = json.loads(shown)["verdict"]
    ours, truth = 100 * verdict["worst_share"], 100 * found["share"]
    whole = found["products"] >= found["steps"] * PRODUCTS
    ok = abs(ours - truth) <= 0.5 and whole and verdict["method"] == "gpu-events"
    print(
        f"{found['products']} products in the trace of {found['steps']} steps of {PRODUCTS}; "
        f"stall {ours:.2f} %, trace {truth:.2f} % ({verdict['method']}): "
        f"{'ok' if ok else 'DIFFERS'}"
    )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
