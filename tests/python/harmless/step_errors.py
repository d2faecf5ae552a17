# SPDX-License-Identifier: Apache-2.0
"""Errors of a backward, an optimizer and a checkpoint: every line of every traceback."""

import io
import sys
import traceback

import torch
from torch.utils.data import DataLoader


class Bad(torch.optim.SGD):
    def step(self, closure=None):
        raise ArithmeticError("no step")


class Unwilling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        raise KeyError("no gradient")


class Exits(torch.autograd.Function):
    forward = Unwilling.forward

    @staticmethod
    def backward(ctx, gradient):
        sys.exit(3)


def refuse(*args):
    raise LookupError("a hook")


parameter = torch.nn.Parameter(torch.ones(2))
hooked = torch.nn.Parameter(torch.ones(2))
hooked.register_hook(refuse)
attempts = [
    lambda x: x.sum().backward(),
    lambda x: (parameter * x).backward(),
    lambda x: (parameter * x).sum().backward(inputs=[]),
    lambda x: Unwilling.apply(parameter).sum().backward(),
    lambda x: Exits.apply(parameter).sum().backward(),
    lambda x: hooked.sum().backward(),
    lambda x: torch.autograd.grad(x.sum(), parameter),
    lambda x: torch.autograd.backward("no tensor"),
    lambda x: torch.autograd.graph._engine_run_backward(),
    lambda x: Bad([parameter], lr=0.1).step(),
    lambda x: torch.optim.SGD([parameter], lr=0.1).step(1, 2, 3),
    lambda x: torch.save(lambda: 0, io.BytesIO()),
    lambda x: torch.save(),
    lambda x: torch.save(x, "no/such/folder/x.pt"),
]
for x in DataLoader(torch.ones(4, 2), batch_size=None):
    for number, attempt in enumerate(attempts):
        try:
            attempt(x)
            print(number, "fine")
        except BaseException as error:
            lines = traceback.format_exception(error)
            print(number, type(error), "".join(lines).replace("\n", "\n  "))
