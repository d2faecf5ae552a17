# SPDX-License-Identifier: Apache-2.0
"""Jobs of several ranks with delays at known places, for bench/job/measure.py.

    torchrun --nproc-per-node 4 bench/job/programs.py NAME [--plain] [--steps N] [--step-ms MS]

With --plain the same job without its delays: the difference in time is what they cost. Ranks work
on the GPU of their number where there are so many (NCCL), else on the CPU (gloo). The loop's own
work is a wait of MS and a small model, so that ranks do not take each other's CPUs.
"""

from __future__ import annotations

import argparse
import os
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

RANK = int(os.environ["RANK"])
WORLD = int(os.environ["WORLD_SIZE"])

#: Which rank is late, in what, by how much and how often. "item": its data set sleeps, "after": it
#: comes late to its next batch, as one that writes a checkpoint does, "loop": its own work takes
#: longer, "gpu": that of its GPU does, for which no host waits.
DELAYS = {
    "healthy": [],
    "one_rank": [(1, "item", 0.06, 1)],
    "now_and_then": [(WORLD - 1, "item", 0.4, 10)],
    "in_turns": [(rank, "item", 0.05 * WORLD, WORLD) for rank in range(WORLD)],
    "all_ranks": [(rank, "item", 0.03, 1) for rank in range(WORLD)],
    "checkpoint": [(0, "after", 0.5, 20)],
    "mixed": [(1, "item", 0.06, 1), (0, "after", 0.5, 20)],
    "slow_rank": [(1, "loop", 0.03, 1)],
    "slow_and_late": [(1, "loop", 0.03, 1), (0, "item", 0.05, 4)],
    "accumulation": [(1, "item", 0.02, 1)],
    "not_together": [(1, "item", 0.05, 1)],
    "short_epochs": [(1, "item", 0.03, 1)],
    "two_loaders": [(1, "item", 0.03, 1)],
    "slow_gpu": [(1, "gpu", 0.03, 1)],
}
EPOCHS = {"short_epochs": 8, "two_loaders": 2}
WORKERS = {"one_rank": 1, "mixed": 1}


class Items(Dataset):
    def __init__(self, count: int, delays: list[tuple[int, str, float, int]]) -> None:
        self.count = count
        self.delays = [(d, n) for rank, what, d, n in delays if rank == RANK and what == "item"]
        self.first = (RANK if NAME == "in_turns" else 0) + 1

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        for delay_s, every in self.delays:
            if (index + self.first) % every == 0:
                time.sleep(delay_s)
        return torch.full((64,), float(index))


class Multiplying:
    """Keeps a GPU busy for about as long as it is told, and its host not at all."""

    def __init__(self, device: torch.device) -> None:
        self.matrix = torch.randn(4096, 4096, device=device, dtype=torch.bfloat16)
        self.once_s = 1.0
        for count in (20, 200):  # the first of them sets up what is set up once
            began = time.perf_counter()
            self.multiply(count)
            torch.cuda.synchronize()
            self.once_s = (time.perf_counter() - began) / count

    def multiply(self, count: int) -> None:
        for _ in range(count):
            torch.mm(self.matrix, self.matrix)

    def work(self, seconds: float) -> None:
        self.multiply(round(seconds / self.once_s))


def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, batch: torch.Tensor) -> None:
    loss = model(batch).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def train(options: argparse.Namespace, device: torch.device) -> float:
    delays = [] if options.plain else DELAYS[NAME]
    inner = torch.nn.Linear(64, 64).to(device)
    together = NAME != "not_together"
    ids = [device.index] if device.type == "cuda" else None
    model = DistributedDataParallel(inner, device_ids=ids) if together else inner
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    epochs = EPOCHS.get(NAME, 1)
    extra_s = sum(d for rank, what, d, _ in delays if rank == RANK and what == "loop")
    extra_gpu_s = sum(d for rank, what, d, _ in delays if rank == RANK and what == "gpu")
    multiplying = Multiplying(device) if NAME == "slow_gpu" else None
    loaders = [
        DataLoader(
            Items(options.steps // epochs, delays if which == 0 else []),
            batch_size=1,
            num_workers=WORKERS.get(NAME, 0),
            pin_memory=NAME == "slow_gpu",  # else the copy waits for the GPU's work before it
        )
        for which in range(2 if NAME == "two_loaders" else 1)
    ]
    step(model, optimizer, torch.zeros(1, 64, device=device))  # what is set up once
    dist.barrier()
    began = time.perf_counter()
    for _ in range(epochs):
        for which, loader in enumerate(loaders):
            for index, batch in enumerate(loader):
                if multiplying is not None:
                    multiplying.work(options.step_ms / 1e3 + extra_gpu_s)
                else:
                    time.sleep(options.step_ms / 1e3 + extra_s)
                on_device = batch.to(device, non_blocking=True)
                if which == 1:
                    with torch.no_grad():
                        inner(on_device)
                elif NAME == "accumulation" and index % 4 != 3:
                    with model.no_sync():
                        model(on_device).square().mean().backward()
                else:
                    step(model, optimizer, on_device)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                for rank, what, delay_s, every in delays:
                    if rank == RANK and what == "after" and index % every == every // 2:
                        time.sleep(delay_s)
    dist.barrier()
    return time.perf_counter() - began


def main() -> None:
    gpu = torch.cuda.is_available() and torch.cuda.device_count() >= WORLD
    store = os.environ.get("JOB_STORE")  # where nobody is who keeps one for all ranks
    found_by = {"init_method": store, "rank": RANK, "world_size": WORLD} if store else {}
    dist.init_process_group("nccl" if gpu else "gloo", **found_by)
    device = torch.device("cuda", RANK) if gpu else torch.device("cpu")
    if NAME == "slow_gpu" and not gpu:
        raise SystemExit("slow_gpu needs a GPU for each rank")
    if gpu:
        torch.cuda.set_device(device)
    torch.set_num_threads(1)
    took_s = train(OPTIONS, device)
    if RANK == 0:
        print(f"took {took_s:.6f}", flush=True)
    dist.destroy_process_group()


parser = argparse.ArgumentParser()
parser.add_argument("name", choices=sorted(DELAYS))
parser.add_argument("--plain", action="store_true")
parser.add_argument("--steps", type=int, default=160)
parser.add_argument("--step-ms", type=float, default=20)
OPTIONS = parser.parse_args()
NAME = OPTIONS.name
if __name__ == "__main__":
    main()
