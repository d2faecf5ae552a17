# SPDX-License-Identifier: Apache-2.0
# openpi#441, deepchem#458: training pauses every so many steps, to save and to validate.
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __len__(self):
        return 1280

    def __getitem__(self, index):
        time.sleep(0.001)
        return torch.full((64,), float(index))


weights = {f"layer{k}": torch.ones(1_000_000) for k in range(12)}
training = DataLoader(Rows(), 8, num_workers=1)
validation = DataLoader(torch.zeros(64, 64), 16)
begin = time.time()
for step, _batch in enumerate(training, 1):
    time.sleep(0.020)
    if step % 40 == 0:
        for _rows in validation:
            time.sleep(0.060)
        torch.save(weights, "checkpoint.pt")
        time.sleep(0.300)  # to the file server
print(f"{time.time() - begin:.2f} s")
