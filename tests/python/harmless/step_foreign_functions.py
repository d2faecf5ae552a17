# SPDX-License-Identifier: Apache-2.0
"""What stands for functions of torch is another library's: a partial, an object that is called."""

import functools
import io

import torch
import torch.autograd.graph
from torch.utils.data import DataLoader


class Called:
    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


class Binds(Called):
    def __get__(self, instance, owner):
        raise TypeError("a function of a module is bound to nothing")


def replaced(wrap):
    function, save = torch.autograd.graph._engine_run_backward, torch.save
    torch.autograd.graph._engine_run_backward = wrap(function)
    torch.autograd._engine_run_backward = torch.autograd.graph._engine_run_backward
    torch.save = wrap(save)


def trained():
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in DataLoader(torch.arange(32.0).reshape(8, 4) / 32, batch_size=2):
        model(batch).square().mean().backward(retain_graph=True)
        torch.autograd.grad(model(batch).sum(), model.parameters())
        optimizer.step()
        optimizer.zero_grad()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return [model.weight.tolist(), len(file.getvalue()) > 0]


replaced(functools.partial)  # before anything of datastall's stands there
print(trained())
replaced(Called)
print(trained())
replaced(Binds)
print(trained())
