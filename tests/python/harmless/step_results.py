# SPDX-License-Identifier: Apache-2.0
"""What training computes, keeps alive and leaves behind is the same, in every autograd mode."""

import gc
import io
import random
import sys
import weakref

import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
data = TensorDataset(torch.randn(32, 4), torch.randn(32, 1))
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.AdamW(model.parameters())
scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
alive = []
for x, y in DataLoader(data, batch_size=8, shuffle=True):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = torch.nn.functional.mse_loss(model(x), y)
    alive += [weakref.ref(loss), weakref.ref(x)]
    print(sys.getrefcount(loss), sys.getrefcount(x), sys.getrefcount(optimizer))
    scaler.scale(loss).backward(retain_graph=True)
    scaler.unscale_(optimizer)
    print(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1).item())
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    print(sys.getrefcount(loss), loss.grad_fn.name(), torch.is_grad_enabled())
    (first,) = torch.autograd.grad(loss, [model.weight], create_graph=True)
    print(torch.autograd.grad(first.sum(), [model.weight], allow_unused=True))
    with torch.inference_mode():
        print(torch.is_inference_mode_enabled(), model(x).sum().item())
    del x, y, loss, first
print([ref() is None for ref in alive], gc.collect() >= 0)
file = io.BytesIO()
torch.save(model.state_dict(), file)
print(len(file.getvalue()), torch.load(io.BytesIO(file.getvalue())))
print([parameter.tolist() for parameter in model.parameters()], scaler.state_dict())
print(torch.rand(3), random.random() >= 0)
print(torch.func.grad(lambda w: (w * w).sum())(torch.ones(2)))
print(torch.func.vmap(lambda w: w * 2)(torch.ones(2)))
print(torch.autograd.functional.hessian(lambda w: (w**3).sum(), torch.ones(2)))
print(torch.autograd.gradcheck(torch.sin, torch.ones(2, dtype=torch.double, requires_grad=True)))
