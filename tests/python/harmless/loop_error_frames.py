# SPDX-License-Identifier: Apache-2.0
"""Tracebacks of errors in the main process have the same frames, lines and chain."""

import os
import traceback

from torch.utils.data import DataLoader, Dataset


class Broken(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        try:
            return {0: 5}[index]
        except KeyError as error:
            raise ValueError(index) from error


def show(error):
    while error is not None:
        for frame in traceback.extract_tb(error.__traceback__):
            print(os.path.basename(frame.filename), frame.lineno, frame.name, frame.line)
        print(
            type(error).__name__,
            error.__suppress_context__,
            error.__notes__ if hasattr(error, "__notes__") else "",
        )
        error = error.__cause__


try:
    raise LookupError("outer")
except LookupError:
    try:
        for batch in DataLoader(Broken()):
            print(batch)
    except ValueError as error:
        show(error)
        print(repr(error.__context__), repr(error.__context__.__context__))
for wrong in (
    {"batch_size": 0},
    {"num_workers": -1},
    {"sampler": [1], "shuffle": True},
    {"nothing": 1},
):
    try:
        DataLoader(Broken(), **wrong)
    except (ValueError, TypeError) as error:
        show(error)
        print(error)
