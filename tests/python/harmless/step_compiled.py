# fresh
# SPDX-License-Identifier: Apache-2.0
"""What torch.compile, fx and jit see of training steps: graphs, breaks, and what they compute."""

import logging

import torch
from torch.utils.data import DataLoader

logging.disable(logging.CRITICAL)  # its lines have the time in them
graphs = []


def backend(module, inputs):
    graphs.append(str(module.graph))
    return module.forward


torch.manual_seed(1)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.AdamW(model.parameters(), foreach=True)


@torch.compile(backend=backend)
def whole(x):
    optimizer.zero_grad()
    loss = model(x).sum()
    loss.backward()
    optimizer.step()
    return loss


@torch.compile(backend=backend)
def gradient(x):
    (answer,) = torch.autograd.grad(model(x).sum(), [model.weight])
    return answer


compiled_model = torch.compile(model, backend="aot_eager")
compiled_step = torch.compile(optimizer.step, backend=backend)
for x in DataLoader(torch.randn(8, 4), batch_size=4):
    print(whole(x))
    try:
        print(gradient(x))
    except Exception as error:
        print(type(error).__name__)
    compiled_model(x).sum().backward()
    compiled_step()
print(len(graphs), *graphs, sep="\n")
print(sorted(torch._dynamo.utils.counters["graph_break"].items()))
print([parameter.tolist() for parameter in model.parameters()])
print(torch._dynamo.explain(lambda x: model(x).relu())(torch.ones(1, 4)).graph_break_count)
print(torch.fx.symbolic_trace(model).code)
print(torch.jit.trace(model, torch.ones(1, 4)).code)


@torch.jit.script
def scripted(x: torch.Tensor):
    y = (x * x).sum()
    return torch.autograd.grad([y], [x])


print(scripted(torch.ones(2, requires_grad=True)))
print(torch.export.export(model, (torch.ones(1, 4),)).graph)
