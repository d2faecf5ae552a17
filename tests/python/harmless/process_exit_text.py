# SPDX-License-Identifier: Apache-2.0
# ends with: 1
"""sys.exit() with a text, from inside a loop."""

import sys

from torch.utils.data import DataLoader

for batch in DataLoader(range(3)):
    print(batch)
    if batch == 1:
        sys.exit("enough")
