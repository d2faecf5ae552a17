# SPDX-License-Identifier: Apache-2.0
"""multiprocessing by fork: a pool whose workers iterate loaders themselves."""

import multiprocessing

from torch.utils.data import DataLoader


def total(number):
    return sum(batch.sum().item() for batch in DataLoader(range(number), batch_size=4))


print(total(9))
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(total, range(12)))
process = multiprocessing.get_context("fork").Process(target=lambda: exit(total(5)))
process.start()
process.join()
print(process.exitcode)
