# fresh
# SPDX-License-Identifier: Apache-2.0
"""Loops that are under way while the interpreter ends."""

import atexit
import sys
import threading
import weakref

from torch.utils.data import DataLoader

sys.unraisablehook = lambda report: print("unraisable", report.exc_type.__name__)
kept = iter(DataLoader(list(range(100))))
print(next(kept).tolist())


def late():
    print("at exit", next(kept).tolist(), [b.tolist() for b in DataLoader([1, 2], num_workers=1)])


def loop():
    for batch in DataLoader(list(range(10))):
        print("thread", batch.tolist())


class Last:
    def __del__(self):
        print("last", next(kept).tolist())


atexit.register(late)
weakref.finalize(kept, print, "gone")
thread = threading.Thread(target=loop)
kept.last = Last()
loader = DataLoader([1, 2, 3])
loader.myself = loader
iterator = iter(loader)
iterator.myself = iterator
print(next(iterator).tolist())
thread.start()
