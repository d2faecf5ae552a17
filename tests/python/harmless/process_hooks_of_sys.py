# SPDX-License-Identifier: Apache-2.0
# ends with: 1
"""sys.excepthook, threading.excepthook and sys.unraisablehook of the program."""

import sys
import threading

from torch.utils.data import DataLoader


def hook(kind, error, traceback):
    names = []
    while traceback is not None:
        names.append((traceback.tb_frame.f_code.co_name, traceback.tb_lineno))
        traceback = traceback.tb_next
    print(kind.__name__, error, names[-6:])


sys.excepthook = hook
threading.excepthook = lambda arguments: print("thread", arguments.exc_type.__name__)
sys.unraisablehook = lambda arguments: print("unraisable", arguments.exc_type.__name__)


def collate(samples):
    return 1 / samples[0]


runner = threading.Thread(target=lambda: list(DataLoader([0], collate_fn=collate)))
runner.start()
runner.join()
list(DataLoader([1, 0], collate_fn=collate))
