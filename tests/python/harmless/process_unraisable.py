# SPDX-License-Identifier: Apache-2.0
"""Errors in __del__ and in threads are printed as ever."""

import threading

from torch.utils.data import DataLoader


class Broken:
    def __del__(self):
        raise ValueError("in del")

    def __repr__(self):
        return "<Broken>"


def thread():
    for batch in DataLoader([1, 0]):
        print(1 / batch.item())


for batch in DataLoader([1], collate_fn=lambda samples: Broken()):
    del batch
runner = threading.Thread(target=thread, name="runner")
runner.start()
runner.join()
