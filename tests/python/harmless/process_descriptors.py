# SPDX-License-Identifier: Apache-2.0
"""The open descriptors that a program finds: which a loop leaves, and which the next gets."""

import os
import time

from torch.utils.data import DataLoader


def lowest():
    number = os.dup(0)
    os.close(number)
    return number


before = set(os.listdir("/proc/self/fd"))
first = lowest()
for workers in (0, 1):
    list(DataLoader(range(4), num_workers=workers))
end = time.monotonic() + 30
while set(os.listdir("/proc/self/fd")) - before and time.monotonic() < end:
    time.sleep(0.01)  # torch does not wait for the thread that fed its worker
print(len(set(os.listdir("/proc/self/fd")) - before), lowest() - first)
