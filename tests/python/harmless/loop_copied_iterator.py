# SPDX-License-Identifier: Apache-2.0
"""What copying and pickling iterators, fetchers and samplers does or raises."""

import copy
import pickle

from torch.utils.data import DataLoader

loader = DataLoader(range(6), batch_size=2)
iterator = iter(loader)
next(iterator)
things = {
    "iterator": iterator,
    "fetcher": iterator._dataset_fetcher,
    "sampler": loader.batch_sampler,
    "sampler iterator": iterator._sampler_iter,
}
for name, thing in things.items():
    for operation in (copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))):
        try:
            made = operation(thing)
            what = made.fetch([1, 2]).tolist() if name == "fetcher" else type(made).__name__
            print(name, what)
        except Exception as error:
            print(name, type(error).__name__, error)
print(next(iterator).tolist())
