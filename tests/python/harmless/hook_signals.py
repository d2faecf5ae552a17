# SPDX-License-Identifier: Apache-2.0
"""Handlers of SIGBUS that the program sets, reads back and gets called through."""

import faulthandler
import os
import signal

from torch.utils.data import DataLoader

caught = []


def loop():
    return sum(len(batch) for batch in DataLoader(list(range(2000))))


print(signal.getsignal(signal.SIGBUS), loop())
before = signal.signal(signal.SIGBUS, lambda number, frame: caught.append(number))
for _turn in range(3):
    print(loop())
    os.kill(os.getpid(), signal.SIGBUS)
    print(caught, signal.getsignal(signal.SIGBUS).__name__)
faulthandler.enable()
print(loop(), faulthandler.is_enabled())
faulthandler.disable()
print(loop(), faulthandler.is_enabled())
os.kill(os.getpid(), signal.SIGBUS)
print(caught)
print(signal.signal(signal.SIGBUS, signal.SIG_IGN).__name__, loop())
os.kill(os.getpid(), signal.SIGBUS)
signal.signal(signal.SIGBUS, before)
print(loop(), flush=True)
child = os.fork()
if child == 0:
    loop()
    os.kill(os.getpid(), signal.SIGBUS)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
