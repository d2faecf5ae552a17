# SPDX-License-Identifier: Apache-2.0
"""How deep in the stack a batch can be taken, and how deep its collation may go."""

import sys

from torch.utils.data import DataLoader


def down(depth):
    return next(iterator) if depth == 0 else down(depth - 1)


def deepest(samples):
    def count(depth):
        try:
            return count(depth + 1)
        except RecursionError:
            return depth

    return count(0)


sys.setrecursionlimit(300)
print(list(DataLoader(range(2), collate_fn=deepest)))
for depth in range(150, 300):
    iterator = iter(DataLoader(range(2), collate_fn=list))
    try:
        down(depth)
    except RecursionError:
        print("too deep at", depth)
        break
