# SPDX-License-Identifier: Apache-2.0
"""A program that replaces itself in the middle of a loop."""

import os
import sys

from torch.utils.data import DataLoader

for batch in DataLoader(range(3)):
    print(batch.item(), flush=True)
    os.execv(sys.executable, [sys.executable, "-S", "-c", "print('another')"])
