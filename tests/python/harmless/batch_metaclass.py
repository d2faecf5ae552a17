# SPDX-License-Identifier: Apache-2.0
"""A metaclass that notices every question about its class."""

import torch
from torch.utils.data import DataLoader

asked = []


class Noticing(type):
    def __getattribute__(cls, name):
        asked.append(name)
        return super().__getattribute__(name)

    def __instancecheck__(cls, instance):
        asked.append("instancecheck")
        return True

    def __subclasscheck__(cls, other):
        asked.append("subclasscheck")
        return True

    def mro(cls):
        asked.append("mro")
        return super().mro()


class Batch(metaclass=Noticing):
    shape = (3, 2)


class Mask(torch.Tensor):
    pass


batches = [Batch(), {"attention_mask": Batch()}, [Batch(), Batch()], Batch]
loader = DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)
iterator = iter(loader)
asked.clear()
for _ in batches:
    next(iterator)
print(asked)
