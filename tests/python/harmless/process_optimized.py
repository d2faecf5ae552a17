# fresh: -OO -s
# SPDX-License-Identifier: Apache-2.0
"""An interpreter without assertions and docstrings."""

from torch.utils.data import DataLoader

assert not __doc__
for batch in DataLoader(range(3), num_workers=1):
    print(batch.item())
print(DataLoader.__doc__, DataLoader.__iter__.__doc__, __debug__)
