# SPDX-License-Identifier: Apache-2.0
"""Errors that are no Exception, from collate and from items."""

import sys

from torch.utils.data import DataLoader


class Mine(BaseException):
    pass


for kind in (KeyboardInterrupt, SystemExit, GeneratorExit, Mine, MemoryError, RecursionError):

    def collate(samples, kind=kind):
        if samples == [1]:
            raise kind("from collate")
        return samples

    iterator = iter(DataLoader(range(3), collate_fn=collate))
    for _ in range(4):
        try:
            print(next(iterator))
        except BaseException as error:
            print(type(error).__name__, error.args, error.__context__)
print(sys.exc_info())
