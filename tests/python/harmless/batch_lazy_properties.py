# SPDX-License-Identifier: Apache-2.0
"""Properties that are computed once, descriptors, slots, and a __dict__ that is none."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch.utils.data import DataLoader


class Descriptor:
    def __get__(self, instance, owner):
        print("got")
        return torch.ones(2, 3)

    def __set__(self, instance, value):
        raise AttributeError


class Lazy:
    attention_mask = Descriptor()

    @cached_property
    def input_ids(self):
        print("computed")
        return torch.ones(2, 3)

    @property
    def num_graphs(self):
        print("counted")
        return 3


@dataclass(slots=True)
class Slots:
    attention_mask: torch.Tensor


class NoDict:
    @property
    def __dict__(self):
        print("asked for its dict")
        raise SystemExit(3)


batches = [Lazy(), Slots(torch.ones(2, 3)), NoDict(), (Lazy(), NoDict())]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__, "input_ids" in getattr(batch, "_", {}))
print(vars(batches[0]))
