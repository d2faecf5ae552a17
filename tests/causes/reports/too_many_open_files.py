# SPDX-License-Identifier: Apache-2.0
# pytorch#11201, pytorch#41465: batches are kept, and each tensor keeps a descriptor open.
import resource
import time

import torch
from torch.utils.data import DataLoader, Dataset

resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))


class Scenes(Dataset):
    def __len__(self):
        return 4000

    def __getitem__(self, index):
        return {"points": torch.zeros(50, 3), "label": index, "pose": torch.eye(4)}


kept = []
for batch in DataLoader(Scenes(), 4, num_workers=2):
    kept.append(batch)
    time.sleep(0.002)
