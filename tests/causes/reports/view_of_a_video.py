# SPDX-License-Identifier: Apache-2.0
# mteb#4747: some frames of a video are given as a view, and the whole video's storage is sent.
import sys
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

video = np.random.default_rng(0).integers(0, 255, (240, 3, 144, 144), dtype=np.uint8)  # 15 MB


class Clips(Dataset):
    def __len__(self):
        return 320

    def __getitem__(self, index):
        frames = torch.from_numpy(video)[index % 200 :][: 2 + index % 2]
        return frames.clone() if "fix" in sys.argv else frames


begin = time.time()
for _batch in DataLoader(Clips(), 4, num_workers=1, collate_fn=list):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")
