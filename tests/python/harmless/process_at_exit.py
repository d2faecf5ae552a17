# SPDX-License-Identifier: Apache-2.0
"""The order of what runs at exit, with loops in it."""

import atexit
import threading
import weakref

from torch.utils.data import DataLoader


class Object:
    pass


def loop(name):
    print(name, [batch.item() for batch in DataLoader(range(2))])


atexit.register(loop, "registered first")
loop("main")
atexit.register(loop, "registered second")
thing = Object()
weakref.finalize(thing, print, "finalized")
threading.Thread(target=loop, args=("thread",)).start()
