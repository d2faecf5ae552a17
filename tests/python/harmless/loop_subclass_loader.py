# SPDX-License-Identifier: Apache-2.0
"""Subclasses of DataLoader that do it all in their own way."""

from torch.utils.data import DataLoader


class Late(DataLoader):
    def __init__(self, *arguments, **keywords):
        self.before = "set before"
        super().__init__(*arguments, **keywords)
        self.after = "set after"

    def __iter__(self):
        print("iter")
        for batch in super().__iter__():
            yield batch.item() + 100

    def __len__(self):
        return 77


class Without(DataLoader):
    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return iter(self.data)

    def __len__(self):
        return len(self.data)


late = Late(range(3), num_workers=1)
print(list(late), len(late), late.before, late.after, list(Without([1, 2])))
