# fresh: -W error -X dev -B -u
# SPDX-License-Identifier: Apache-2.0
"""A loop where every warning is an error and the interpreter checks itself."""

import sys

from torch.utils.data import DataLoader

print(sys.flags.dev_mode, sys.warnoptions, sys.flags.dont_write_bytecode)
for workers in (0, 1):
    for batch in DataLoader(range(3), num_workers=workers):
        print(workers, batch.item())
