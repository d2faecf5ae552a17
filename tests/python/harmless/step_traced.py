# fresh
# SPDX-License-Identifier: Apache-2.0
"""What profilers and torch's own modes see of a step."""

import os
import threading

os.environ["KINETO_LOG_LEVEL"] = "99"  # its lines have the time in them

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

called = []
seen = []


class Functions(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        seen.append(getattr(function, "__name__", str(function)))
        return function(*args, **(kwargs or {}))


class Dispatches(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        seen.append(str(function))
        return function(*args, **(kwargs or {}))


model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
first = register_optimizer_step_pre_hook(lambda o, a, k: called.append(("pre", len(a), k)))
register_optimizer_step_post_hook(lambda o, a, k: called.append(("post", len(a), k)))
optimizer.register_step_pre_hook(lambda o, a, k: called.append("own"))
for x in DataLoader(torch.randn(8, 4), batch_size=4):
    with Functions():
        model(x).sum().backward()
        optimizer.step()
    with Dispatches():
        model(x).sum().backward()
        optimizer.step()
    first.remove()
print(called, seen, sep="\n")
with torch.profiler.profile() as profile:
    model(x).sum().backward()
    optimizer.step()
print(sorted(event.key for event in profile.key_averages()))
print(threading.active_count(), [hook for hook in model.weight._backward_hooks or ()])
