# fresh
# SPDX-License-Identifier: Apache-2.0
# ends with: 1
"""The traceback of an error in a data set has the same frames."""

from torch.utils.data import DataLoader, Dataset


class Broken(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        print("item", index, flush=True)
        return 1 // (2 - index)


for batch in DataLoader(Broken()):
    print(batch, flush=True)
