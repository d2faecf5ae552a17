# SPDX-License-Identifier: Apache-2.0
"""Workers by fork, spawn and forkserver; what they pickle, see and are called."""

import multiprocessing
import pickle
import sys
from multiprocessing.reduction import ForkingPickler

from torch.utils.data import DataLoader, get_worker_info


class Data:
    """The last item is a look, in a worker, at what the hooks may have touched."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        info = get_worker_info()
        if index < 4:
            return index, info.id if info else None, multiprocessing.parent_process() is not None
        method = ForkingPickler.dumps
        return (
            pickle.dumps(method),
            method.__func__.__qualname__,
            bytes(ForkingPickler.dumps((1, 2))),
            type(vars(ForkingPickler)["dumps"]).__name__,
            [name for name in sys.modules if "sitecustomize" in name],
        )


def same(items):
    return items


def choose(worker):
    print("worker", worker, flush=True)


if __name__ == "__main__":
    for context in ("fork", "spawn", "forkserver"):
        loader = DataLoader(
            Data(),
            num_workers=1,
            collate_fn=same,
            multiprocessing_context=context,
            worker_init_fn=choose,
        )
        for _epoch in range(2):
            print(context, list(loader), flush=True)
