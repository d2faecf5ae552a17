# SPDX-License-Identifier: Apache-2.0
"""A daemon's habit: every descriptor above 2 is closed, before and within a loop."""

import os

from torch.utils.data import DataLoader

os.closerange(3, 256)
for number, batch in enumerate(DataLoader(range(6))):
    print(batch.item())
    if number == 2:
        os.closerange(3, 256)
with open("mine", "w+") as file:
    file.write("mine")
    list(DataLoader(range(6)))
    file.seek(0)
    print(file.read())
