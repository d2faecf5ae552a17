# SPDX-License-Identifier: Apache-2.0
# ends with: -15
"""SIGTERM, unhandled, with workers alive."""

import signal

from torch.utils.data import DataLoader

for batch in DataLoader(range(30), num_workers=1):
    print(batch, flush=True)
    signal.raise_signal(signal.SIGTERM)
