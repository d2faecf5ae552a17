# SPDX-License-Identifier: Apache-2.0
"""The threads that a program finds, in Python and in the kernel."""

import os
import threading
import time

from torch.utils.data import DataLoader


def kernel_threads():
    return len(os.listdir("/proc/self/task"))


before = kernel_threads()
for batch in DataLoader(range(4)):
    print(batch.item(), threading.active_count(), kernel_threads() - before)
list(DataLoader(range(4), num_workers=1))
end = time.monotonic() + 30
while kernel_threads() > before and time.monotonic() < end:
    time.sleep(0.01)  # torch does not wait for the thread that fed its worker
print(threading.active_count(), kernel_threads() - before, threading.main_thread().name)
