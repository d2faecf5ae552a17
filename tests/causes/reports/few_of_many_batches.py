# SPDX-License-Identifier: Apache-2.0
# ultralytics#25827, Lightning#434: of each validation two batches are taken; workers make more.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset, Subset


class Clips(Dataset):
    def __len__(self):
        return 4000

    def __getitem__(self, index):
        time.sleep(0.040)
        return torch.zeros(8)


clips = Subset(Clips(), range(16)) if "fix" in sys.argv else Clips()
loader = DataLoader(clips, 8, num_workers=2, persistent_workers="fix" in sys.argv)
begin = time.time()
for _ in range(5):
    time.sleep(0.100)
    for step, _batch in enumerate(loader):
        if step == 1:
            break
print(f"{time.time() - begin:.2f} s")
