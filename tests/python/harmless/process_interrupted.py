# SPDX-License-Identifier: Apache-2.0
# ends with: -2
"""Ctrl-C: the traceback, and a death by SIGINT."""

import signal

from torch.utils.data import DataLoader

signal.signal(signal.SIGINT, signal.default_int_handler)
for batch in DataLoader(range(3)):
    print(batch, flush=True)
    if batch == 1:
        signal.raise_signal(signal.SIGINT)
