# SPDX-License-Identifier: Apache-2.0
"""pin_memory without a GPU: the same warning, from the same line."""

import os
import warnings

from torch.utils.data import DataLoader

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for workers in (0, 1):
        for batch in DataLoader(range(3), pin_memory=True, num_workers=workers):
            print(batch.item(), batch.is_pinned())
for warning in said:
    print(
        os.path.basename(warning.filename),
        warning.lineno,
        warning.category.__name__,
        warning.message,
    )
