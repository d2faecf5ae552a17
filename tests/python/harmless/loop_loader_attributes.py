# SPDX-License-Identifier: Apache-2.0
"""A loader that notices which of its attributes are set and asked for."""

from torch.utils.data import DataLoader


class Named(DataLoader):
    def __setattr__(self, name, value):
        names.append(name)
        super().__setattr__(name, value)

    def __getattribute__(self, name):
        asked.append(name)
        return super().__getattribute__(name)


names, asked = [], []
print(len([batch for batch in Named(range(3))]), names, asked)
