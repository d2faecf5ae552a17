# SPDX-License-Identifier: Apache-2.0
"""A thread that still iterates when the program ends."""

import threading
import time

from torch.utils.data import DataLoader

begun = threading.Event()


def forever():
    while True:
        for _batch in DataLoader(range(100)):
            begun.set()
            time.sleep(600)  # not in torch's code, which a dying interpreter may abort in


threading.Thread(target=forever, daemon=True).start()
begun.wait()
print("the end")
