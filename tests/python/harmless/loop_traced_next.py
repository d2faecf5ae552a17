# SPDX-License-Identifier: Apache-2.0
"""What sys.settrace sees of a next() in the middle of a loop."""

import os
import sys

from torch.utils.data import DataLoader

events = []


def trace(frame, event, argument):
    events.append(
        (event, os.path.basename(frame.f_code.co_filename), frame.f_code.co_name, frame.f_lineno)
    )
    return trace


for workers in (0, 1):
    iterator = iter(DataLoader(range(8), num_workers=workers, collate_fn=list))
    for _ in range(4):
        next(iterator)
    sys.settrace(trace)
    next(iterator)
    sys.settrace(None)
    calls = [event for event in events if event[0] == "call"]
    print(
        calls if workers == 0 else sorted({call[2] for call in calls if call[1] == "dataloader.py"})
    )
    events.clear()
