# SPDX-License-Identifier: Apache-2.0
"""Errors look as they do without the hooks: every line of every traceback."""

import re
import sys
import traceback

from torch.utils.data import DataLoader, IterableDataset


class Bad:
    def __init__(self, many=False):
        if many:
            self.__getitems__ = self.get_many

    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise KeyError(index)

    def get_many(self, indices):
        raise LookupError(indices)


class Stream(IterableDataset):
    def __iter__(self):
        yield 1
        raise OSError("gone")


def bad_collate(items):
    raise ValueError(items)


def shown(text):
    return re.sub(r"process \d+|pid\(s\) [\d, ]+", "process N", text)


def attempt(*args, **kwargs):
    try:
        print([batch for batch in DataLoader(*args, **kwargs)])
    except Exception as error:
        print(shown(traceback.format_exc()))
        frames = []
        step = error.__traceback__
        while step is not None:
            frames.append((step.tb_frame.f_code.co_qualname, step.tb_lineno))
            step = step.tb_next
        print(frames)
        print(
            shown(
                "".join(
                    traceback.TracebackException.from_exception(
                        error, capture_locals=False
                    ).format()
                )
            )
        )


sys.unraisablehook = lambda report: print("unraisable", report.exc_type.__name__)
if sys.version_info < (3, 11):
    raise SystemExit
for workers in (0, 1):
    attempt(Bad(), num_workers=workers)
    attempt(Bad(many=True), num_workers=workers)
    attempt(Bad(), batch_size=None, num_workers=workers)
    attempt([1, 2], collate_fn=bad_collate, num_workers=workers)
    attempt([1, 2], batch_size=None, collate_fn=bad_collate, num_workers=workers)
    attempt(Stream(), num_workers=workers)
attempt([1], num_workers=-1)
attempt([1], no_such=1)
attempt()
attempt(3)
try:
    DataLoader.__iter__()
except TypeError as error:
    print(error)
try:
    DataLoader.__iter__(3)
except AttributeError as error:
    print(error)
try:
    next(DataLoader.__next__)
except (AttributeError, TypeError) as error:
    print(error)
