# SPDX-License-Identifier: Apache-2.0
"""What stands in for torch's backward and torch.save looks like it to pickle, copy and inspect."""

import copy
import inspect
import pickle
import re
import types

import torch
from torch.utils.data import DataLoader

for _ in DataLoader(torch.ones(2)):
    pass


def shown(value: object) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", repr(value))


functions = [torch.save, torch.autograd.graph._engine_run_backward, torch.cuda.CUDAGraph.replay]
for function in functions:
    print(shown(function), function.__module__, function.__qualname__, function.__class__)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(function, protocol)
        print(protocol, data, pickle.loads(data) is function)
    print(copy.copy(function) is function, copy.deepcopy(function) is function)
    print(inspect.isfunction(function), isinstance(function, types.FunctionType))
    print(inspect.signature(function), inspect.getfullargspec(function))
    print(len(inspect.getsource(function)), inspect.getsourcelines(function)[1])
    print(inspect.getmodule(function), inspect.unwrap(function) is function)
    print(function.__defaults__, function.__kwdefaults__, sorted(function.__annotations__))
    print(function.__code__.co_name, function.__code__.co_firstlineno, function.__dict__)
print(torch.save is torch.serialization.save)
print(torch.autograd._engine_run_backward is torch.autograd.graph._engine_run_backward)
print(torch.autograd.backward, torch.Tensor.backward, torch.autograd.grad.__module__)
print(sorted(name for name in vars(torch.optim.Optimizer) if "step" in name))
