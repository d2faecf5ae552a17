# SPDX-License-Identifier: Apache-2.0
"""All warnings are errors: whatever warns, it is the same."""

import warnings

from torch.utils.data import DataLoader

warnings.simplefilter("error")
for choice in ({}, {"num_workers": 1}, {"num_workers": 500}, {"pin_memory": True}):
    try:
        print([batch.item() for batch in DataLoader(range(3), **choice)])
    except Warning as warning:
        print(type(warning).__name__, str(warning)[:60])
