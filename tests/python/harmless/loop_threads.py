# SPDX-License-Identifier: Apache-2.0
"""Loops in many threads at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

from torch.utils.data import DataLoader


def total(number):
    return sum(batch.sum().item() for batch in DataLoader(range(number), batch_size=3))


with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(total, range(20, 40))))
shared, lock, got = iter(DataLoader(range(200))), threading.Lock(), []


def take():
    while True:
        with lock:
            batch = next(shared, None)
        if batch is None:
            return
        got.append(batch.item())


threads = [threading.Thread(target=take) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(
    sorted(got) == list(range(200)),
    threading.active_count(),
    [thread.name for thread in threading.enumerate()],
)
