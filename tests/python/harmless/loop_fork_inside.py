# SPDX-License-Identifier: Apache-2.0
"""A program that forks in the middle of a loop; both go on."""

import os
import warnings

from torch.utils.data import DataLoader

# Python 3.12 and later says so, with its number, where a thread of a queue is still there.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
for workers in (0, 1):
    got = []
    for batch in DataLoader(
        range(6), num_workers=workers, prefetch_factor=None if workers == 0 else 2
    ):
        got.append(batch.item())
        if len(got) == 2:
            child = os.fork()
            if child == 0:
                print("child", workers, got, list(map(int, DataLoader([7, 8]))), flush=True)
                os._exit(5)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    print("parent", workers, got, flush=True)
child = os.fork()
batches = [batch.tolist() for batch in DataLoader(range(4), num_workers=2)]
ended = os.waitpid(child, 0)[1] if child else None  # two at once would mix their lines
print(batches, flush=True)
if child:
    print(ended, flush=True)
