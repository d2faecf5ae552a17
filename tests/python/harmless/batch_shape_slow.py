# SPDX-License-Identifier: Apache-2.0
"""A batch whose shape takes long to tell: nobody asks for it."""

import time

from torch.utils.data import DataLoader


class Batch:
    asked = 0

    @property
    def shape(self):
        Batch.asked += 1
        time.sleep(0.05)
        return (4, 3)


for _batch in DataLoader([Batch()] * 10, batch_size=None, collate_fn=lambda batch: batch):
    pass
print("asked", Batch.asked)
