# SPDX-License-Identifier: Apache-2.0
"""Batches that are modules, classes, functions, generators, files, numbers."""

import contextlib
import decimal
import io
import math
import weakref

from torch.utils.data import DataLoader


class Target:
    pass


class Number(int):
    def __index__(self):
        print("index")
        return 1


async def coroutine():
    pass


target, running, waiting = Target(), (i for i in range(3)), coroutine()
batches = [math, Target, print, running, waiting, io.StringIO("x"), Number(3), decimal.Decimal(1)]
batches += [weakref.proxy(target), weakref.ref(target), range(5), {1, 2}, b"x", memoryview(b"xyz")]
batches += [NotImplemented, ..., None, True, 1j, slice(3), type, object(), Exception("x")]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    with contextlib.suppress(ReferenceError):
        print(type(batch).__name__)
print(list(running), vars(target), hasattr(coroutine, "shape"))
waiting.close()
