# SPDX-License-Identifier: Apache-2.0
# ends with: 42
"""sys.exit() with a number, with workers alive."""

import atexit
import sys

from torch.utils.data import DataLoader

atexit.register(print, "at exit")
for batch in DataLoader(range(30), num_workers=2):
    print(batch)
    sys.exit(42)
