# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays and their subclasses, which notice what becomes of them."""

import numpy as np
from torch.utils.data import DataLoader


class Noticing(np.ndarray):
    def __array_finalize__(self, other):
        print("finalize")

    def __array_ufunc__(self, *arguments, **keywords):
        print("ufunc")

    def __array_function__(self, *arguments, **keywords):
        print("function")

    def __getattribute__(self, name):
        print("attribute", name)
        return super().__getattribute__(name)

    def __len__(self):
        print("length")
        return 7


noticing = np.zeros((3, 2)).view(Noticing)
structured = np.zeros(3, dtype=[("a", int), ("b", float)])
objects = np.array([object()] * 3, dtype=object)
mapped = np.memmap("mapped", dtype="int32", mode="w+", shape=(4, 2))
batches = [noticing, (noticing,), {"attention_mask": noticing}, structured, objects, mapped]
batches += [np.ma.masked_array([1, 2], mask=[0, 1]), np.float64(3), np.array(3), np.zeros((0, 3))]
print("loop")
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__)
