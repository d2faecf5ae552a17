# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: exposed stall by datastall against a kernel trace, loop by loop.

Truth is the time inside the waits (iter() and every next()) in which no kernel and no copy ran, by
torch.profiler's trace, with gaps of up to 10 us between GPU work merged: they are launch gaps. A
loop passes when datastall's share of the window is within half a percentage point of it, or when
datastall itself calls its share an upper bound and it is one.

python tests/gpu/check_stalls.py [SECONDS [LOOP...]]
"""

from __future__ import annotations

import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import datastall
import torch
from checks import forget_run, need_gpus, program_name
from gpu_loops import Gpu, Step, every, make_loader, plain, run_plain, truth_of, waited, waits
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader


def bursts(gpu: Gpu) -> Step:
    """A checkpoint every 50 steps: the state goes to the host and the disk is slow."""
    step = plain(gpu, 12, sync=False)

    def with_checkpoint(batch: torch.Tensor, index: int) -> None:
        step(batch, index)
        if index % 50 == 49:
            gpu.state.cpu()
            time.sleep(0.1)

    return with_checkpoint


def copies_on_a_side_stream(gpu: Gpu) -> Step:
    side = torch.cuda.Stream()

    def step(batch: torch.Tensor, index: int) -> None:
        with torch.cuda.stream(side):
            on_gpu = batch.to("cuda", non_blocking=True)
        torch.cuda.current_stream().wait_stream(side)
        gpu.work(30)
        gpu.state[0, :4] += on_gpu[:, 0]

    return step


def graph_replay(gpu: Gpu) -> Step:
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        gpu.work(3)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gpu.work(60)

    def step(batch: torch.Tensor, index: int) -> None:
        batch.to("cuda", non_blocking=True)
        graph.replay()

    return step


def accumulation(gpu: Gpu) -> Step:
    """Four small steps, then a large one: batches are pulled in bursts."""

    def step(batch: torch.Tensor, index: int) -> None:
        batch.to("cuda", non_blocking=True)
        gpu.work(120 if index % 4 == 3 else 2)

    return step


def compute_on_a_side_stream(gpu: Gpu) -> Step:
    side = torch.cuda.Stream()
    inner = plain(gpu, 60, sync=False)

    def step(batch: torch.Tensor, index: int) -> None:
        with torch.cuda.stream(side):
            inner(batch, index)
        if index % 8 == 7:
            side.synchronize()

    return step


LOOPS: dict[str, tuple[Callable[[], DataLoader[torch.Tensor]], Callable[[Gpu], Step]]] = {
    "starved, a sync every step": (lambda: make_loader(every(0.006)), lambda g: plain(g, 6, True)),
    "starved, async": (lambda: make_loader(every(0.008)), lambda g: plain(g, 12, False)),
    "nearly fed, async": (lambda: make_loader(every(0.010)), lambda g: plain(g, 30, False)),
    "fed, a sync every step": (lambda: make_loader(every(0.0002)), lambda g: plain(g, 30, True)),
    "fed, async": (lambda: make_loader(every(0.0002)), lambda g: plain(g, 30, False)),
    "hidden behind a deep queue": (
        lambda: make_loader(every(0.005)),
        lambda g: plain(g, 60, False),
    ),
    "a checkpoint every 50 steps": (lambda: make_loader(every(0.004)), bursts),
    "fast and slow batches": (
        lambda: make_loader(lambda i: 0.02 if i // 4 % 4 == 0 else 0.001),
        lambda g: plain(g, 12, False),
    ),
    "num_workers=0": (lambda: make_loader(every(0.001), workers=0), lambda g: plain(g, 12, False)),
    "copies on a side stream": (lambda: make_loader(every(0.008)), copies_on_a_side_stream),
    "graph replay": (lambda: make_loader(every(0.012)), graph_replay),
    "gradient accumulation": (lambda: make_loader(every(0.008)), accumulation),
    "compute on a side stream": (lambda: make_loader(every(0.008)), compute_on_a_side_stream),
}


def run_in_a_copy_stream(loader: Any, gpu: Gpu, seconds: float) -> None:
    """next() inside `with torch.cuda.stream(copy)`."""
    end = time.monotonic() + seconds
    copy = torch.cuda.Stream()
    batches = waits(loader)
    while time.monotonic() < end:
        with torch.cuda.stream(copy):
            on_gpu = next(batches).to("cuda", non_blocking=True)
        torch.cuda.current_stream().wait_stream(copy)
        gpu.work(30)
        gpu.state[0, :4] += on_gpu[:, 0]


def run_prefetched(loader: Any, gpu: Gpu, seconds: float) -> None:
    """A thread iterates the loader ahead of the main one."""
    ahead: queue.Queue[torch.Tensor | None] = queue.Queue(2)
    end = time.monotonic() + seconds

    def fetch() -> None:
        torch.cuda.set_device(0)
        for batch in waits(loader):
            ahead.put(batch.to("cuda", non_blocking=True))
            if time.monotonic() > end:
                break
        ahead.put(None)

    thread = threading.Thread(target=fetch)
    thread.start()
    while ahead.get() is not None:
        gpu.work(30)
    thread.join()


def measure(name: str, seconds: float) -> bool:
    gpu = Gpu()
    gpu.work(5)
    torch.cuda.synchronize()
    named = name.replace(",", "")
    waited.clear()
    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        if name == "next() in a copy stream":
            loader = datastall.watch(make_loader(every(0.008)), name=named)
            run_in_a_copy_stream(loader, gpu, seconds)
        elif name == "background prefetch":
            run_prefetched(datastall.watch(make_loader(every(0.008)), name=named), gpu, seconds)
        else:
            make, make_step = LOOPS[name]
            step = make_step(gpu)
            torch.cuda.synchronize()
            run_plain(datastall.watch(make(), name=named), step, seconds)
        torch.cuda.synchronize()
    idle_ns, waiting_ns = truth_of(trace)
    loader_figures = next(each for each in datastall.summary()["loaders"] if each["name"] == named)
    window_s = (loader_figures["window_end_ns"] - loader_figures["window_start_ns"]) * 1e-9
    stall = loader_figures["exposed_stall_s"]
    truth = 100 * idle_ns * 1e-9 / window_s
    if stall["upper"] is None:
        print(f"{name:<28} no events at all")
        return False
    upper = 100 * (stall["upper"] + loader_figures["unknown_wait_s"]) / window_s
    lower = 100 * stall["lower"] / window_s
    bound = upper - lower > 0.5
    host = 100 * waiting_ns * 1e-9 / window_s
    hidden = 100 * (loader_figures["hidden_wait_s"] or 0) / window_s
    ok = abs(upper - truth) <= 0.5 or (bound and upper >= truth - 0.5)
    print(
        f"{name:<28} host {host:5.1f}  events {upper:5.2f}{' (at most)' if bound else '':<10} "
        f"trace {truth:5.2f}  hidden {hidden:5.1f}  lower {lower:5.2f}  "
        f"coverage {100 * stall['event_coverage']:5.1f}  {'ok' if ok else 'DIFFERS'}"
    )
    return ok


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    names = sys.argv[2:] or [*LOOPS, "next() in a copy stream", "background prefetch"]
    need_gpus(1)
    forget_run()
    print(f"{program_name()}; shares in percent")
    with tempfile.TemporaryDirectory() as folder:
        datastall.install(folder)
        Gpu().work(1)  # CUDA is in use before the first wait
        failed = [name for name in names if not measure(name, seconds)]
    print(f"{len(names) - len(failed)} of {len(names)} loops agree with the trace")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
