# SPDX-License-Identifier: Apache-2.0
# pytorch#161492: workers are spawned, which imports torch anew, for one epoch of two batches.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Eight(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.ones(3)


if __name__ == "__main__":
    spawned = {"num_workers": 2, "multiprocessing_context": "spawn"}
    begin = time.time()
    for _batch in DataLoader(Eight(), batch_size=4, **({} if "fix" in sys.argv else spawned)):
        time.sleep(0.01)
    print(f"{time.time() - begin:.2f} s")
