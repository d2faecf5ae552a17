# SPDX-License-Identifier: Apache-2.0
"""Programs with a GPU, for what another setting of their loader gives: ``gpu_programs.py NAME``."""

from __future__ import annotations

import io
import sys
import time
from typing import Any

import torch
from programs import Items, lognormal, think
from torch.utils.data import DataLoader

SETTINGS = [(1, 2), (3, 2), (4, 2), (6, 2), (8, 2), (4, 4)]


def model(width: int) -> torch.nn.Module:
    layers = [torch.nn.Conv2d(3, width, 3, 2), torch.nn.ReLU()]
    for _ in range(4):
        layers += [torch.nn.Conv2d(width, width, 3, padding=1), torch.nn.ReLU()]
    return torch.nn.Sequential(
        *layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(width, 10)
    ).cuda()


def train(loader: Any, net: torch.nn.Module, sync_every: int) -> None:
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    for number, batch in enumerate(loader):
        batch = batch.cuda(non_blocking=True)
        loss = net(batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if sync_every and number % sync_every == 0:
            loss.item()
    torch.cuda.synchronize()


def pictures() -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise((480, 360), 60).convert("RGB").save(buffer, "JPEG", quality=85)

    def make(_: int) -> torch.Tensor:
        picture = Image.open(io.BytesIO(buffer.getvalue())).resize((224, 224))
        data = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        return data.view(224, 224, 3).permute(2, 0, 1).float() / 255

    train(DataLoader(Items(4000, make), 32, num_workers=2, pin_memory=True), model(32), 1)


def asynchronous() -> None:
    """The host runs ahead of the GPU: much of its waiting is hidden."""
    work = torch.randn(6144, 6144, device="cuda", dtype=torch.bfloat16)

    def make(index: int) -> torch.Tensor:
        time.sleep(lognormal(index, 2.5, 0.5) / 1e3)
        return torch.zeros(64)

    for batch in DataLoader(Items(3200, make), 8, num_workers=2, pin_memory=True):
        batch = batch.cuda(non_blocking=True)
        for _ in range(9):
            result = work @ work
        result[0, 0].add_(batch.sum())
    torch.cuda.synchronize()


def large() -> None:
    def make(index: int) -> torch.Tensor:
        time.sleep(0.004)
        return torch.full((3, 384, 384), float(index))

    train(DataLoader(Items(2400, make), 16, num_workers=2, pin_memory=True), model(24), 1)


def tokens() -> None:
    layer = torch.nn.TransformerEncoderLayer(512, 8, batch_first=True)
    net = torch.nn.TransformerEncoder(layer, 4).cuda()
    optimizer = torch.optim.AdamW(net.parameters())

    def make(index: int) -> torch.Tensor:
        think(1.2)
        return torch.zeros(128, 512)

    for number, batch in enumerate(DataLoader(Items(6400, make), 16, num_workers=1)):
        loss = net(batch.cuda()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number % 10 == 0:
            loss.item()


PROGRAMS = {made.__name__: made for made in (pictures, asynchronous, large, tokens)}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
