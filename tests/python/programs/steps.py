# SPDX-License-Identifier: Apache-2.0
"""Trains in one of the ways that people do; prints how often it did what, and its weights' sum.

python steps.py KIND...

Of several, each trains in a fork of a process that has everything imported: that takes seconds.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

KINDS: dict[str, Callable[[], None]] = {}
done: Counter[str] = Counter()

torch.manual_seed(0)
data = TensorDataset(torch.randn(96, 8), torch.randn(96, 1))
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
loader = DataLoader(data, batch_size=8)  # twelve batches


def kind(function: Callable[[], None]) -> Callable[[], None]:
    KINDS[function.__name__] = function
    return function


def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.mse_loss(model(x), y)


def backward(loss: torch.Tensor) -> None:
    done["backward"] += 1
    loss.backward()


def step(optimizer: torch.optim.Optimizer) -> None:
    done["optimizer"] += 1
    optimizer.step()
    optimizer.zero_grad()


@kind
def plain() -> None:
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(2):
        for x, y in loader:
            backward(loss_of(x, y))
            step(optimizer)


@kind
def accumulation() -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for number, (x, y) in enumerate(loader, 1):
        backward(loss_of(x, y))
        if number % 4 == 0:
            step(optimizer)


@kind
def scaler() -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu")
    for x, y in loader:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(x, y)
        backward(scaler.scale(loss))
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        done["optimizer"] += 1
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


@kind
def two_optimizers() -> None:
    first = torch.optim.SGD(model[0].parameters(), lr=0.01)
    second = torch.optim.Adam(model[2].parameters())
    for x, y in loader:
        backward(loss_of(x, y))
        step(first)
        step(second)


@kind
def gan() -> None:
    critic = torch.nn.Linear(1, 1)
    optimizers = [torch.optim.Adam(m.parameters()) for m in (critic, model)]
    for x, y in loader:
        backward(critic(model(x).detach()).mean() - critic(y).mean())
        step(optimizers[0])
        backward(-critic(model(x)).mean())
        step(optimizers[1])


@kind
def closure() -> None:
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    for x, y in loader:

        def again(x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
            optimizer.zero_grad()
            loss = loss_of(x, y)
            backward(loss)
            return loss

        done["optimizer"] += 1
        optimizer.step(again)


@kind
def inference() -> None:
    with torch.no_grad():
        for x, _ in loader:
            done["no_backward"] += 1
            model(x)


@kind
def evaluation_between() -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    held_out = DataLoader(TensorDataset(torch.randn(24, 8)), batch_size=8)
    for number, (x, y) in enumerate(loader, 1):
        backward(loss_of(x, y))
        step(optimizer)
        if number % 6 == 0:
            with torch.no_grad():
                for (batch,) in held_out:
                    done["no_backward"] += 1
                    model(batch)


@kind
def checkpoints() -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for number, (x, y) in enumerate(loader, 1):
        backward(loss_of(x, y))
        step(optimizer)
        if number % 5 == 0:
            done["checkpoint"] += 1
            torch.save(model.state_dict(), "checkpoint.pt")


@kind
def compiled() -> None:
    global model
    plainly = model
    model = torch.compile(model, backend="aot_eager")  # type: ignore[assignment]
    try:
        accumulation()
    finally:
        model = plainly


@kind
def compiled_optimizer() -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    compiled = torch.compile(optimizer.step, backend="eager")
    for x, y in loader:
        backward(loss_of(x, y))
        compiled()
        optimizer.zero_grad()


@kind
def rematerialised() -> None:
    from torch.utils.checkpoint import checkpoint

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for x, y in loader:
        hidden = checkpoint(model[0], x.requires_grad_(), use_reentrant=True)
        backward(torch.nn.functional.mse_loss(model[2](hidden), y))
        step(optimizer)


@kind
def gradients_by_hand() -> None:
    for x, y in loader:
        done["backward"] += 1
        gradients = torch.autograd.grad(loss_of(x, y), list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= 0.01 * gradient


@kind
def failing_optimizer() -> None:
    class Bad(torch.optim.SGD):
        def step(self, closure: object = None) -> None:
            raise ArithmeticError

    optimizer = Bad(model.parameters(), lr=0.01)
    for x, y in loader:
        backward(loss_of(x, y))
        with contextlib.suppress(ArithmeticError):
            step(optimizer)


@kind
def failing_backward() -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for x, _ in loader:
        done["backward"] += 1
        with contextlib.suppress(RuntimeError):
            x.sum().backward()  # needs no gradient
        step(optimizer)


@kind
def stated() -> None:
    import datastall

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(5):
        datastall.step()
        done["stated"] += 1
        backward(loss_of(*data[:8]))
        step(optimizer)
    datastall.step()
    done["stated"] += 1


def train(name: str) -> None:
    KINDS[name]()
    total = float(sum(parameter.sum() for parameter in model.parameters()))
    Path("done.json").write_text(json.dumps(done))
    print(json.dumps({**done, "sum": total}))


def train_each(names: list[str]) -> None:
    """Prints the process of each before what it prints itself."""
    import torch._dynamo  # noqa: F401  # the first step of an optimizer does so

    gc.freeze()  # a child's collector leaves alone what all share
    for name in names:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            print(json.dumps({"kind": name, "pid": os.getpid()}))
            train(name)
            sys.stdout.flush()
            atexit._run_exitfuncs()
            os._exit(0)  # taking torch apart would take longer than all of this
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(f"{name} failed")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        train(sys.argv[1])
    else:
        train_each(sys.argv[1:])
