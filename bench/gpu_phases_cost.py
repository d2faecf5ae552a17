# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: what following the phases of a step costs a training loop.

A table of loops (bound by their launches at about 0.5, 1, 1.5 and 4 ms a step, with a
synchronisation in each and without; bound by the GPU), each trained with a backward and an
optimizer. Segments of 20 steps take turns in one process: torch's own next(), waits only, waits and
phases with the GPU asked. Before each a few steps more: the thread that asks is started there, once
in a program and not in each 20 steps. Differences and ratios are medians over the pairs, with the
interval that holds the median in 95 of 100 cases.

    python bench/gpu_phases_cost.py [--pairs N] [--ready] [--traceml] [LOOP...]

--ready: batches that are there already, so that no worker and no pin thread adds its own variation;
waits and phases only, against nothing.

--traceml: traceml-ai 0.5 (with msgspec and nvidia-ml-py) around the same loops, by its own
launcher, beside a process with nothing.
STEP_DEVICE=cpu tries the script where there is no GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.pop("DATASTALL_RUN_DIR", None)
os.environ["DATASTALL_STEPS"] = "on"

import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils.fetch import _MapDatasetFetcher
from torch.utils.data.dataloader import _BaseDataLoaderIter, _MultiProcessingDataLoaderIter

# Before install() puts others in their places.
TORCHS_OWN = {
    "__next__": _BaseDataLoaderIter.__next__,
    "_next_index": _BaseDataLoaderIter._next_index,
    "_try_get_data": _MultiProcessingDataLoaderIter._try_get_data,
}
TORCHS_OWN_FETCH = {"fetch": _MapDatasetFetcher.fetch}
DEVICE = os.environ.get("STEP_DEVICE", "cuda")
SEGMENT = 20
SETTLE = 24  # steps before each segment: at least one of so many asks about its wait
Step = Callable[[torch.Tensor], None]


class Rows(Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 1 << 26

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.zeros(64)


def model_of(layers: int, width: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """So many small layers, or few large ones."""
    parts: list[torch.nn.Module] = [torch.nn.Linear(64, width)]
    for _ in range(layers):
        parts += [torch.nn.Linear(width, width), torch.nn.GELU()]
    model = torch.nn.Sequential(*parts).to(DEVICE)
    return model, torch.optim.SGD(model.parameters(), lr=1e-6, foreach=True)


def train(layers: int, width: int, synchronous: bool) -> tuple[torch.nn.Module, Step]:
    model, optimizer = model_of(layers, width)

    def step(batch: torch.Tensor) -> None:
        loss = model(batch.to(DEVICE, non_blocking=True)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if synchronous:
            loss.item()

    return model, step


#: Layers and width; each line of the table says how long a step took.
LOOPS = {
    "launch-bound 0.5 ms": (2, 64, False),
    "launch-bound 0.5 ms, item()": (2, 64, True),
    "launch-bound 1 ms": (8, 64, False),
    "launch-bound 1 ms, item()": (8, 64, True),
    "launch-bound 1.5 ms": (12, 64, False),
    "launch-bound 4 ms": (40, 64, False),
    "launch-bound 4 ms, item()": (40, 64, True),
    "GPU-bound": (4, 8192 if DEVICE == "cuda" else 256, False),
}


def synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


class Ready(Dataset[torch.Tensor]):
    """One batch again and again."""

    def __init__(self) -> None:
        batch = torch.zeros(64, 64)
        self.batch = batch.pin_memory() if DEVICE == "cuda" else batch

    def __len__(self) -> int:
        return 1 << 26

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.batch


def loader_of(ready: bool = False) -> DataLoader[torch.Tensor]:
    if ready:
        return DataLoader(Ready(), batch_size=None)
    return DataLoader(Rows(), batch_size=64, num_workers=2, pin_memory=DEVICE == "cuda")


def own_methods(thing: Any, methods: dict[str, Any]) -> None:
    cls = type(thing)
    own = {name: method for name, method in methods.items() if hasattr(cls, name)}
    thing.__class__ = type(cls.__name__, (cls,), own)


def untouched(batches: Any) -> Iterator[torch.Tensor]:
    """An iterator of torch's with its own methods, as if datastall were not there. Workers that it
    has record what they do."""
    own_methods(batches, TORCHS_OWN)
    if hasattr(batches, "_dataset_fetcher"):
        own_methods(batches._dataset_fetcher, TORCHS_OWN_FETCH)
    return batches


def segment(batches: Iterator[torch.Tensor], step: Step, steps: int = SEGMENT) -> float:
    """Microseconds a step."""
    synchronize()
    begin = time.perf_counter()
    for _ in range(steps):
        step(next(batches))
    synchronize()
    return (time.perf_counter() - begin) / steps * 1e6


def median_with_interval(values: list[float], form: str = "+.1f") -> str:
    """By the order statistics that hold the median in 95 of 100 cases."""
    ordered, n = sorted(values), len(values)
    reach = math.ceil(0.98 * math.sqrt(n))
    low, high = ordered[max(0, n // 2 - reach)], ordered[min(n - 1, n // 2 + reach)]
    return f"{statistics.median(ordered):{form}} ({low:{form}}..{high:{form}})"


def table(names: list[str], pairs: int, ready: bool) -> None:
    import datastall
    from datastall import _core, _hooks

    datastall.install(tempfile.mkdtemp())
    print(f"{'loop':<30}{'bare us':>9}  {'waits, us a step':<28}{'and phases':<28}ratio")
    for name in names:
        _, step = train(*LOOPS[name])
        recorded, bare = iter(loader_of(ready)), untouched(iter(loader_of(ready)))

        def run(kind: str, step: Step = step, r: Any = recorded, b: Any = bare) -> float:
            _core.follow_steps(_hooks.monitor() if kind == "phases" else None, True)
            batches = b if kind == "bare" else r
            segment(batches, step, SETTLE)
            return segment(batches, step)

        kinds = ["bare", "phases"] if ready else ["bare", "waits", "phases"]
        for kind in kinds:
            run(kind)
        took: dict[str, list[float]] = {kind: [] for kind in kinds}
        for pair in range(pairs):
            for kind in kinds if pair % 2 == 0 else reversed(kinds):
                took[kind].append(run(kind))
        against = {
            kind: [
                with_it - without for with_it, without in zip(took[kind], took["bare"], strict=True)
            ]
            for kind in kinds[1:]
        }
        ratios = [a / b for a, b in zip(took["phases"], took["bare"], strict=True)]
        print(
            f"{name:<30}{statistics.median(took['bare']):9.0f}  "
            f"{median_with_interval(against['waits']) if 'waits' in against else '-':<28}"
            f"{median_with_interval(against['phases']):<28}{median_with_interval(ratios, '.4f')}",
            flush=True,
        )


def with_traceml(name: str, pairs: int, traced: bool) -> None:
    """In a process of its own: prints the median of a step."""
    model, step = train(*LOOPS[name])
    around: Callable[[Any], Any] = contextlib.nullcontext
    if traced:
        import traceml_ai as traceml

        traceml.init()
        around = traceml.trace_step
    batches = iter(loader_of())

    def traced_step(batch: torch.Tensor) -> None:
        with around(model):
            step(batch)

    took = [segment(batches, traced_step) for _ in range(pairs)]
    print(f"median_us {statistics.median(took[1:] or took):.1f}")


def beside_traceml(names: list[str], pairs: int) -> None:
    # What it costs a step is told before it writes its own report, which may take long.
    traceml = [
        sys.executable,
        "-m",
        "traceml_ai.launcher.cli",
        "run",
        "--finalize-timeout-sec",
        "5",
    ]
    print(f"{'loop':<30}{'bare us':>9}{'traceml us':>12}")
    for name in names:
        medians = []
        arguments = ["--pairs", str(pairs), name]
        with tempfile.TemporaryDirectory() as folder:
            traced = [*traceml, "--logs-dir", folder, __file__, "--args", "--traced", *arguments]
            for command in ([sys.executable, __file__, "--bare", *arguments], traced):
                ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=folder)
                said = re.search(r"median_us ([0-9.]+)", ended.stdout)
                medians.append(float(said[1]) if said else math.nan)
        print(f"{name:<30}{medians[0]:9.0f}{medians[1]:12.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=250)
    parser.add_argument("--ready", action="store_true")
    parser.add_argument("--traceml", action="store_true")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--traced", action="store_true")
    parser.add_argument("loops", nargs="*")
    options = parser.parse_args()
    names = options.loops or list(LOOPS)
    if options.bare or options.traced:
        with_traceml(names[0], options.pairs, options.traced)
        return
    print(torch.cuda.get_device_name(0) if DEVICE == "cuda" else "CPU", torch.__version__)
    table(names, options.pairs, options.ready)
    if options.traceml:
        beside_traceml(names, options.pairs)


if __name__ == "__main__":
    main()
