"""On a machine with an NVIDIA GPU: exposed stall by datastall against a kernel trace, loop by loop.

Truth is the time inside the waits (iter() and every next()) in which no kernel and no copy ran, by
torch.profiler's trace, with gaps of up to 10 us between GPU work merged: they are launch gaps. A
loop passes when datastall's share of the window is within half a percentage point of it, or when
datastall itself calls its share an upper bound and it is one.

python tests/gpu/check_stalls.py [SECONDS [LOOP...]]
"""

from __future__ import annotations

import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.pop("DATASTALL_RUN_DIR", None)

import datastall
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, Dataset

GAP_NS = 10_000
#: Begin and end of the waits of the loop under way, CLOCK_REALTIME ns, as the trace's times are.
waited: list[tuple[int, int]] = []


class Items(Dataset[torch.Tensor]):
    """Item i takes seconds_of(i)."""

    def __init__(self, seconds_of: Callable[[int], float]) -> None:
        self.seconds_of = seconds_of

    def __len__(self) -> int:
        return 1 << 24

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(self.seconds_of(index))
        return torch.full((256,), float(index % 7))


class Gpu:
    """GPU work of a length that can be chosen: n products of 2048 x 2048."""

    def __init__(self) -> None:
        self.weight = torch.randn(2048, 2048, device="cuda")
        self.state = torch.randn(2048, 2048, device="cuda")

    def work(self, n: int) -> None:
        for _ in range(n):
            self.state = torch.tanh(self.state @ self.weight)


def every(seconds: float) -> Callable[[int], float]:
    return lambda index: seconds


def make_loader(seconds_of: Callable[[int], float], workers: int = 4) -> DataLoader[torch.Tensor]:
    return DataLoader(Items(seconds_of), batch_size=4, num_workers=workers, pin_memory=True)


def waits(loader: Any) -> Iterator[Any]:
    """iter() and next(), with their times: marks in the trace would cost more than a wait."""
    begin = time.time_ns()
    batches = iter(loader)
    waited.append((begin, time.time_ns()))
    while True:
        begin = time.time_ns()
        batch = next(batches, None)
        waited.append((begin, time.time_ns()))
        if batch is None:
            return
        yield batch


Step = Callable[[Any, int], None]


def plain(gpu: Gpu, n: int, sync: bool) -> Step:
    def step(batch: torch.Tensor, index: int) -> None:
        batch = batch.to("cuda", non_blocking=True)
        gpu.work(n)
        if sync:
            float(gpu.state[0, 0] + batch[0, 0])

    return step


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


def run_plain(loader: Any, step: Step, seconds: float) -> None:
    end = time.monotonic() + seconds
    for index, batch in enumerate(waits(loader)):
        step(batch, index)
        if time.monotonic() > end:
            return


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


def union(intervals: list[tuple[int, int]]) -> list[list[int]]:
    merged: list[list[int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1] + GAP_NS:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged


def idle_inside(waiting: list[tuple[int, int]], busy: list[list[int]]) -> int:
    total = 0
    at = 0
    for start, end in waiting:
        while at > 0 and busy[at - 1][1] > start:
            at -= 1
        while at < len(busy) and busy[at][1] <= start:
            at += 1
        covered, k = 0, at
        while k < len(busy) and busy[k][0] < end:
            covered += min(end, busy[k][1]) - max(start, busy[k][0])
            k += 1
        total += (end - start) - covered
    return total


def truth_of(trace: Any) -> tuple[int, int]:
    """(idle ns inside the waits, waiting ns)."""
    work = [
        (event.start_ns(), event.start_ns() + event.duration_ns())
        for event in trace.profiler.kineto_results.events()
        if event.device_type() == torch.autograd.DeviceType.CUDA
    ]
    waiting = sorted(waited)
    return idle_inside(waiting, union(work)), sum(end - start for start, end in waiting)


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
    print(f"{torch.cuda.get_device_name(0)}, PyTorch {torch.__version__}; shares in percent")
    with tempfile.TemporaryDirectory() as folder:
        datastall.install(folder)
        Gpu().work(1)  # CUDA is in use before the first wait
        failed = [name for name in names if not measure(name, seconds)]
    print(f"{len(names) - len(failed)} of {len(names)} loops agree with the trace")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
