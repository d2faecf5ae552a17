# SPDX-License-Identifier: Apache-2.0
"""Attributes that raise all kinds of errors."""

import torch
from torch.utils.data import DataLoader


class Hostile:
    def __init__(self, error):
        self.__dict__["error"] = error

    def __getattr__(self, name):
        raise self.error

    def keys(self):
        raise self.error


for error in (
    AttributeError,
    RuntimeError,
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
    StopIteration,
):
    batches = [Hostile(error), (Hostile(error), torch.ones(2)), {"x": Hostile(error)}]
    for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
        print(error.__name__, type(batch).__name__)
