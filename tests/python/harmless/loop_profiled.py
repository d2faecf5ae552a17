# SPDX-License-Identifier: Apache-2.0
"""What sys.setprofile sees of a next(): Python's calls, C's, and their returns."""

import os
import sys

from torch.utils.data import DataLoader

events = []


def profile(frame, event, argument):
    what = argument.__name__ if event.startswith("c_") else ""
    events.append((event, os.path.basename(frame.f_code.co_filename), frame.f_code.co_name, what))


iterator = iter(DataLoader(range(8), batch_size=2, collate_fn=list))
next(iterator)
next(iterator)
sys.setprofile(profile)
next(iterator)
sys.setprofile(None)
print(*events, sep="\n")
