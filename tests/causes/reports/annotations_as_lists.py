# SPDX-License-Identifier: Apache-2.0
# pytorch#123439, mxnet#14648: annotations stay Python objects, pickled and unpickled by the loop.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

POLYGON = [[float(i) / (k + 1) for i in range(120)] for k in range(50)]


class Scenes(Dataset):
    rows = [{"id": str(k), "polygons": POLYGON} for k in range(64)]
    tensors = [torch.tensor(POLYGON) for _ in range(64)]

    def __len__(self):
        return 3200

    def __getitem__(self, index):
        return self.tensors[index % 64] if "fix" in sys.argv else self.rows[index % 64]


def collate(rows):
    if "fix" in sys.argv:
        return torch.stack(rows)
    return [{"id": row["id"], "polygons": [list(part) for part in row["polygons"]]} for row in rows]


begin = time.time()
for _batch in DataLoader(Scenes(), 32, num_workers=1, collate_fn=collate):
    time.sleep(0.002)
print(f"{time.time() - begin:.2f} s")
