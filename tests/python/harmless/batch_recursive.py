# SPDX-License-Identifier: Apache-2.0
"""Containers that hold themselves, and deep ones."""

from torch.utils.data import DataLoader

ring = []
ring.append(ring)
knot = {}
knot["attention_mask"] = knot["input_ids"] = knot
pair = ([], [])
pair[0].append(pair)
deep = []
for _ in range(100_000):
    deep = [deep]
batches = [ring, knot, pair, deep]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(type(batch).__name__, len(batch))
del batches, batch
while deep:
    deep = deep[0]
