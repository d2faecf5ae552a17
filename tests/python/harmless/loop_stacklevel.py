# SPDX-License-Identifier: Apache-2.0
"""Warnings that name a caller's line by stacklevel, and frames that are counted."""

import os
import sys
import warnings

from torch.utils.data import DataLoader


def collate(samples):
    frame, names = sys._getframe(), []
    while frame is not None:
        names.append(
            (os.path.basename(frame.f_code.co_filename), frame.f_code.co_name, frame.f_lineno)
        )
        frame = frame.f_back
    print(names[:8])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for level in range(1, 8):
            warnings.warn("here", stacklevel=level)
        print([(os.path.basename(w.filename), w.lineno) for w in said])
    return samples


for batch in DataLoader(range(2), collate_fn=collate):
    print(batch)
