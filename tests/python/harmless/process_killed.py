# SPDX-License-Identifier: Apache-2.0
# ends with: -9
"""A program that kills itself."""

import os
import signal

from torch.utils.data import DataLoader

for batch in DataLoader(range(3)):
    print(batch, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
