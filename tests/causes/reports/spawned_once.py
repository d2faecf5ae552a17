# SPDX-License-Identifier: Apache-2.0
# pytorch#139792, #161492: one epoch, spawned workers, a data set that takes long to pickle.
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Ledger(Dataset):
    def __init__(self, count):
        self.rows = {i: [str(i), float(i), (i, i)] for i in range(count)}

    def __len__(self):
        return 1600

    def __getitem__(self, index):
        return torch.tensor([float(index)])


if __name__ == "__main__":
    ledger = Ledger(0 if "fix" in sys.argv else 500_000)
    begin = time.time()
    for _batch in DataLoader(ledger, 16, num_workers=2, multiprocessing_context="spawn"):
        time.sleep(0.010)
    print(f"{time.time() - begin:.2f} s")
