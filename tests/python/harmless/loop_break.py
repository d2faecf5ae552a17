# SPDX-License-Identifier: Apache-2.0
"""Loops that are left early, taken up again, or entered twice."""

from torch.utils.data import DataLoader

loader = DataLoader(range(10), batch_size=2)
for batch in loader:
    if batch[0] == 4:
        break
iterator = iter(loader)
print(next(iterator).tolist(), next(iterator).tolist())
for batch in iterator:
    print("on", batch.tolist())
print(next(iterator, "none left"), next(iterator, "still none"), iter(iterator) is iterator)
print(len(loader), len(iterator), list(loader)[-1].tolist())
for workers in (0, 2):
    for batch in DataLoader(range(100), batch_size=3, num_workers=workers):
        print(batch.tolist())
        break
