# SPDX-License-Identifier: Apache-2.0
"""What sys.settrace sees of a whole loop, loader and all."""

import os
import sys

from torch.utils.data import DataLoader

calls = []


def trace(frame, event, argument):
    if event == "call":
        calls.append((os.path.basename(frame.f_code.co_filename), frame.f_code.co_name))


sys.settrace(trace)
for batch in DataLoader(range(3), collate_fn=list):
    print(batch)
sys.settrace(None)
print(*calls, sep="\n")
