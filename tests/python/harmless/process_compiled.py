# fresh
# SPDX-License-Identifier: Apache-2.0
"""torch.compile, by the eager backend, of what a loop does with its batches."""

import torch
from torch.utils.data import DataLoader

torch._dynamo.config.suppress_errors = False
graphs = []


def backend(module, inputs):
    graphs.append(str(module.graph))
    return module.forward


@torch.compile(backend=backend)
def step(x, batch):
    return x + batch["attention_mask"].sum() * 2


x = torch.zeros(1)
for batch in DataLoader([{"attention_mask": torch.ones(2, 3)}] * 3, batch_size=None):
    x = step(x, batch)
print(x, *graphs, sep="\n")


@torch.compile(backend=backend)
def loop(x):
    for batch in DataLoader([torch.ones(2)] * 2, batch_size=None):
        x = x + batch.sum()
    return x


print(loop(torch.zeros(1)), len(graphs))
