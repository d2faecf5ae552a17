# SPDX-License-Identifier: Apache-2.0
"""A generator around a loader is closed, thrown into, and dropped."""

from torch.utils.data import DataLoader


def batches(workers):
    try:
        for batch in DataLoader(range(6), num_workers=workers):
            yield batch.item()
    except KeyError as error:
        print("caught", error)
        yield "after"
    finally:
        print("closed")


for workers in (0, 1):
    generator = batches(workers)
    print(next(generator), next(generator))
    generator.close()
    generator = batches(workers)
    print(next(generator), generator.throw(KeyError("thrown")))
    del generator
    generator = batches(workers)
    next(generator)
    del generator
