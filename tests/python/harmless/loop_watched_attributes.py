# SPDX-License-Identifier: Apache-2.0
"""What an iterator and a loader have, seen from outside."""

from torch.utils.data import DataLoader

loader = DataLoader(range(3))
iterator = iter(loader)
next(iterator)
for thing in (loader, iterator):
    print(type(thing).__name__, [name for name in sorted(vars(thing)) if "datastall" not in name])
    print([name for name in sorted(dir(type(thing))) if "datastall" in name])
print(iterator._num_yielded, repr(iterator).split(" at ")[0], repr(loader).split(" at ")[0])
