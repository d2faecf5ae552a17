# SPDX-License-Identifier: Apache-2.0
"""Fourteen ways to train or to infer on a GPU, each for so many seconds: what check_steps.py runs.

Importing it changes nothing: neither the environment nor what datastall records.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

#: "cpu" tries what of a check needs no GPU.
DEVICE = os.environ.get("STEP_DEVICE", "cuda")
BACKEND = "nccl" if DEVICE == "cuda" else "gloo"
WIDTH, BATCH = (1024, 256) if DEVICE == "cuda" else (64, 16)


class Rows(Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 1 << 22

    def __getitems__(self, indices: list[int]) -> torch.Tensor:
        return torch.zeros(len(indices), WIDTH)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.zeros(WIDTH)


def rows_of(rows: torch.Tensor) -> torch.Tensor:
    return rows


def model_of(layers: int, width: int = WIDTH) -> torch.nn.Module:
    parts: list[torch.nn.Module] = []
    for _ in range(layers):
        parts += [torch.nn.Linear(width, width), torch.nn.GELU()]
    return torch.nn.Sequential(*parts).to(DEVICE)


def loader_of(pin: bool = True, batch: int = BATCH) -> DataLoader[torch.Tensor]:
    return DataLoader(
        Rows(),
        batch_size=batch,
        num_workers=2,
        pin_memory=pin and DEVICE == "cuda",
        collate_fn=rows_of,
    )


def batches(seconds: float, **settings: Any) -> Iterator[torch.Tensor]:
    end = time.monotonic() + seconds
    for batch in loader_of(**settings):
        yield batch
        if time.monotonic() > end:
            return


def on_gpu(batch: torch.Tensor) -> torch.Tensor:
    return batch.to(DEVICE, non_blocking=True)


def plain(seconds: float) -> None:
    model = model_of(24)
    optimizer = torch.optim.AdamW(model.parameters(), foreach=False)  # a kernel each: launch-bound
    for batch in batches(seconds):
        model(on_gpu(batch)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def amp(seconds: float) -> None:
    model = model_of(24)
    optimizer = torch.optim.AdamW(model.parameters())
    scaler = torch.amp.GradScaler(DEVICE)
    for batch in batches(seconds):
        with torch.autocast(DEVICE, dtype=torch.bfloat16):
            loss = model(on_gpu(batch)).square().mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


def accumulation(seconds: float) -> None:
    model = model_of(24)
    optimizer = torch.optim.AdamW(model.parameters())
    for number, batch in enumerate(batches(seconds), 1):
        model(on_gpu(batch)).square().mean().backward()
        if number % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()


def distributed(seconds: float) -> None:
    """One rank: its reducer and its hooks in the backward are those of many."""
    import torch.distributed as dist

    with tempfile.TemporaryDirectory() as folder:
        store = dist.FileStore(os.path.join(folder, "store"), 1)
        dist.init_process_group(BACKEND, store=store, rank=0, world_size=1)
        train_distributed(batches(seconds))
        dist.destroy_process_group()


def of_several_ranks(seconds: float) -> None:
    """Under torchrun, a GPU each: as many steps in every rank, since each waits for the others."""
    import torch.distributed as dist

    if DEVICE == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group(BACKEND)
    train_distributed(itertools.islice(batches(10 * seconds), int(100 * seconds)))
    dist.destroy_process_group()


def train_distributed(rows: Iterable[torch.Tensor]) -> None:
    model = torch.nn.parallel.DistributedDataParallel(model_of(24))
    optimizer = torch.optim.AdamW(model.parameters())
    for batch in rows:
        model(on_gpu(batch)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def two_optimizers(seconds: float) -> None:
    makes, judges = model_of(12), model_of(12)
    optimizers = [torch.optim.Adam(each.parameters()) for each in (judges, makes)]
    for batch in batches(seconds):
        rows = on_gpu(batch)
        judges(makes(rows).detach()).square().mean().backward()
        optimizers[0].step()
        optimizers[0].zero_grad()
        judges(makes(rows)).mean().backward()
        optimizers[1].step()
        optimizers[1].zero_grad()


def inference(seconds: float) -> None:
    model = model_of(48)
    with torch.inference_mode():
        for batch in batches(seconds):
            model(on_gpu(batch)).sum()


def unpinned_copies(seconds: float) -> None:
    model = model_of(8)
    optimizer = torch.optim.AdamW(model.parameters())
    for batch in batches(seconds, pin=False, batch=16 * BATCH):
        rows = batch.to(DEVICE)  # planted
        model(rows).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def item_every_step(seconds: float) -> None:
    model = model_of(24)
    optimizer = torch.optim.AdamW(model.parameters())
    total = 0.0
    for batch in batches(seconds, batch=4 * BATCH):  # the GPU has work left: item() waits for it
        loss = model(on_gpu(batch)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        total += loss.item()  # planted


def checkpoints(seconds: float) -> None:
    model = model_of(24)
    optimizer = torch.optim.AdamW(model.parameters())
    with tempfile.TemporaryDirectory() as folder:
        for number, batch in enumerate(batches(seconds), 1):
            model(on_gpu(batch)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            if number % 50 == 0:
                torch.save(model.state_dict(), os.path.join(folder, "model.pt"))


def compiled(seconds: float) -> None:
    model = model_of(24)
    fast = (
        torch.compile(model, mode="reduce-overhead")
        if DEVICE == "cuda"
        else torch.compile(model, backend="aot_eager")
    )
    optimizer = torch.optim.AdamW(model.parameters())
    for batch in batches(seconds):
        fast(on_gpu(batch)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def hf_trainer(seconds: float) -> None:
    import transformers

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model_of(24)

        def forward(self, rows: torch.Tensor, labels: Any = None) -> dict[str, torch.Tensor]:
            return {"loss": self.inner(rows).square().mean()}

    class Named(Dataset[dict[str, torch.Tensor]]):
        def __len__(self) -> int:
            return 1 << 22

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            return {"rows": torch.zeros(WIDTH)}

    class Stops(transformers.TrainerCallback):
        end = time.monotonic() + seconds + 5  # the first step takes some

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            control.should_training_stop = time.monotonic() > self.end

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=32,
            dataloader_num_workers=2,
            save_strategy="no",
            report_to=[],
            use_cpu=DEVICE == "cpu",
            disable_tqdm=True,
            max_steps=1 << 20,
        )
        transformers.Trainer(
            model=Model(), args=arguments, train_dataset=Named(), callbacks=[Stops()]
        ).train()


def lightning(seconds: float) -> None:
    import lightning as framework

    class Module(framework.LightningModule):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = model_of(24)

        def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
            return self.inner(batch).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters())

    framework.Trainer(
        max_time={"seconds": int(seconds) + 1},
        accelerator="gpu" if DEVICE == "cuda" else "cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(Module(), loader_of())


def accelerate(seconds: float) -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=DEVICE == "cpu")
    model = model_of(24)
    optimizer = torch.optim.AdamW(model.parameters())
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader_of())
    end = time.monotonic() + seconds
    for batch in loader:
        accelerator.backward(model(batch).square().mean())
        optimizer.step()
        optimizer.zero_grad()
        if time.monotonic() > end:
            return


PROGRAMS: dict[str, Callable[[float], None]] = {
    "plain": plain,
    "AMP with a scaler": amp,
    "accumulation": accumulation,
    "DistributedDataParallel": distributed,
    "two ranks": of_several_ranks,
    "two optimizers": two_optimizers,
    "HF Trainer": hf_trainer,
    "Lightning": lightning,
    "accelerate": accelerate,
    "compile reduce-overhead": compiled,
    "inference": inference,
    "unpinned copies": unpinned_copies,
    ".item() every step": item_every_step,
    "a checkpoint every 50 steps": checkpoints,
}
#: Programs that torchrun starts, and how many ranks of each.
RANKS = {"two ranks": 2}
#: The cause that was planted: (a key of `steps`, what is in it).
PLANTED = {
    "unpinned copies": ("blocking_calls", "to"),
    ".item() every step": ("blocking_calls", "item"),
    "a checkpoint every 50 steps": ("phases", "checkpoint"),
}
