# SPDX-License-Identifier: Apache-2.0
"""A program that forks while it iterates."""

import os
import warnings

from torch.utils.data import DataLoader

# Python 3.12 and later says so, with its number, where a thread of a queue is still there.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
for workers in (0, 1):
    iterator = iter(DataLoader(list(range(4)), num_workers=workers))
    print(next(iterator).tolist(), flush=True)
    child = os.fork()
    if child == 0:
        if workers == 0:
            print("child", [batch.tolist() for batch in iterator], flush=True)
        print("child", [batch.tolist() for batch in DataLoader([5, 6])], flush=True)
        os._exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    print([batch.tolist() for batch in iterator], flush=True)
