# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: in which part of a step what datastall costs is spent.

The loops of gpu_phases_cost.py, with a clock read between next(), forward, backward, optimizer and
the rest. Six kinds of segments of 20 steps take turns in one process: torch's own next(); a
hook that records nothing; waits without a question to the GPU; waits; phases by the host's clock;
phases with the GPU asked. The differences to torch's own are medians over the rounds: what is spent
in next() shows to the microsecond where the whole step, which varies, does not. Before each segment
a few steps more, in which the thread that asks is started.

    python bench/gpu_step_parts.py [--rounds N] [--workers N] [LOOP...]

STEP_DEVICE=cpu tries the script where there is no GPU.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import datastall
import torch
from datastall import _core, _hooks
from gpu_phases_cost import DEVICE, LOOPS, SEGMENT, SETTLE, Ready, model_of, synchronize, untouched
from torch.utils.data import DataLoader

KINDS = ["nothing", "hook alone", "waits, GPU not asked", "waits", "phases, host", "phases"]
PARTS = ["whole", "next()", "forward", "backward", "optimizer", "rest"]
Batches = Iterator[torch.Tensor]


def stepping(name: str) -> Callable[[Batches, int], list[float]]:
    """A segment: microseconds a step, of the parts."""
    layers, width, synchronous = LOOPS[name]
    model, optimizer = model_of(layers, width)

    def step(batches: Batches, times: list[list[float]]) -> None:
        moments = [time.perf_counter()]
        batch = next(batches)
        moments.append(time.perf_counter())
        loss = model(batch.to(DEVICE, non_blocking=True)).square().mean()
        moments.append(time.perf_counter())
        loss.backward()
        moments.append(time.perf_counter())
        optimizer.step()
        moments.append(time.perf_counter())
        optimizer.zero_grad()
        if synchronous:
            loss.item()
        moments.append(time.perf_counter())
        times.append(moments)

    def segment(batches: Batches, steps: int) -> list[float]:
        times: list[list[float]] = []
        synchronize()
        begin = time.perf_counter()
        for _ in range(steps):
            step(batches, times)
        synchronize()
        whole = time.perf_counter() - begin
        spent = [sum(each[i + 1] - each[i] for each in times) for i in range(len(PARTS) - 1)]
        return [seconds / steps * 1e6 for seconds in (whole, *spent)]

    step(iter([torch.zeros(64, 64)]), [])
    return segment


def stream_is_not_told(device: int) -> None:
    """In place of torch's own function: then nothing can be asked of the GPU."""


def set_up(kind: str) -> None:
    followed = kind.startswith("phases")
    _core.follow_steps(_hooks.monitor() if followed else None, kind == "phases")
    stream_getter = getattr(torch._C, "_cuda_getCurrentRawStream", stream_is_not_told)
    if kind == "waits, GPU not asked":
        stream_getter = stream_is_not_told
    _core.set_gpu_questions(stream_getter, lambda: DEVICE == "cuda")


def table(name: str, rounds: int, workers: int) -> None:
    segment = stepping(name)
    pins = workers > 0 and DEVICE == "cuda"
    loader = DataLoader(Ready(), batch_size=None, num_workers=workers, pin_memory=pins)
    recorded, passed, bare = iter(loader), iter(loader), untouched(iter(loader))
    _core.remember(passed, None)  # the hook passes straight through
    others = {"nothing": bare, "hook alone": passed}

    def run(kind: str) -> list[float]:
        set_up(kind)
        batches = others.get(kind, recorded)
        segment(batches, SETTLE)
        return segment(batches, SEGMENT)

    for kind in KINDS:
        run(kind)
    took: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        turn = number % len(KINDS)
        order = KINDS[turn:] + KINDS[:turn]
        for kind in order if number % 2 == 0 else reversed(order):
            took[kind].append(run(kind))
    print(f"{name}, us a step" + "".join(f"{part:>12}" for part in PARTS))
    without = took["nothing"]
    for kind in KINDS:
        figures = []
        for part in range(len(PARTS)):
            values = [each[part] for each in took[kind]]
            if kind != "nothing":
                values = [a - b[part] for a, b in zip(values, without, strict=True)]
            figures.append(f"{statistics.median(values):>{12}.1f}")
        print(f"{kind:<{len(name) + 11}}" + "".join(figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("loops", nargs="*")
    options = parser.parse_args()
    datastall.install(tempfile.mkdtemp())
    print(torch.cuda.get_device_name(0) if DEVICE == "cuda" else "CPU", torch.__version__)
    for name in options.loops or ["launch-bound 1 ms", "launch-bound 4 ms"]:
        table(name, options.rounds, options.workers)


if __name__ == "__main__":
    main()
