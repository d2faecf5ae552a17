# SPDX-License-Identifier: Apache-2.0
"""A dict whose every method has an effect."""

import torch
from torch.utils.data import DataLoader


class Once(dict):
    def __getitem__(self, key):
        print("getitem", key)
        return self.pop(key)

    def __contains__(self, key):
        print("contains", key)
        self.clear()
        return False

    def __iter__(self):
        print("iter")
        return super().__iter__()

    def __len__(self):
        print("len")
        return super().__len__()

    def get(self, key, default=None):
        print("get", key)
        return default

    def keys(self):
        print("keys")
        return super().keys()

    def __missing__(self, key):
        print("missing", key)
        return 1


batches = [Once(attention_mask=torch.ones(2, 3)), Once(x=torch.ones(4)), Once()]
for batch in DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch):
    print(sorted(dict.keys(batch)))
print(batches[0]["attention_mask"].shape)
