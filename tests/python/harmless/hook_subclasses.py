# SPDX-License-Identifier: Apache-2.0
"""Subclasses with opinions about their attributes."""

from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _SingleProcessDataLoaderIter

asked = []


class Strict(DataLoader):
    """Nobody sets what it does not know."""

    known = frozenset(DataLoader([1]).__dict__) | {"multiprocessing_context"}

    def __setattr__(self, name, value):
        if name not in self.known:
            raise RuntimeError(f"no {name}")
        super().__setattr__(name, value)

    def __getattr__(self, name):
        asked.append(name)
        raise AttributeError(name)


class Slots(DataLoader):
    __slots__ = ("extra",)

    def __eq__(self, other):
        raise RuntimeError("not to be compared")

    def __hash__(self):
        raise RuntimeError("not to be hashed")

    def __bool__(self):
        raise RuntimeError("not to be asked")


class Iterator(_SingleProcessDataLoaderIter):
    def __getattribute__(self, name):
        asked.append(name)
        return super().__getattribute__(name)

    def __setattr__(self, name, value):
        asked.append(name)
        super().__setattr__(name, value)

    def __next__(self):
        return super().__next__() + 100


class Own(DataLoader):
    def _get_iterator(self):
        return Iterator(self)


class Properties(DataLoader):
    """What looks like an attribute does something."""

    def _noted(name):
        def get(self):
            asked.append(name)
            return self.__dict__["_" + name]

        def put(self, value):
            self.__dict__["_" + name] = value

        return property(get, put)

    batch_size, prefetch_factor, persistent_workers, sampler, dataset, pin_memory = map(
        _noted,
        ("batch_size", "prefetch_factor", "persistent_workers", "sampler", "dataset", "pin_memory"),
    )


class Curious(Dataset):
    def __getattr__(self, name):
        asked.append(name)
        raise AttributeError(name)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index


class Delegating:
    """Its __getitems__ is another's."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        asked.append(name)
        return getattr(self.inner, name)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index


class Inner:
    def __getitems__(self, indices):
        return [(type(indices).__name__, index) for index in indices]


class Generator(DataLoader):
    def __iter__(self):
        yield "before"
        yield from super().__iter__()
        yield "after"


class Meta(type):
    def __getattribute__(cls, name):
        asked.append("Meta." + name)
        return super().__getattribute__(name)

    def __eq__(cls, other):
        asked.append("Meta.__eq__")
        return cls is other

    __hash__ = type.__hash__


class Odd(Curious, metaclass=Meta):
    pass


def plain(items):
    return items


for kind in (Strict, Slots, Own, Properties, Generator):
    for _epoch in range(2):
        asked.clear()
        loader = kind([1, 2, 3], batch_size=2) if kind is not Own else kind([1, 2, 3])
        print(kind.__name__, [b.tolist() if hasattr(b, "tolist") else b for b in loader], asked)
for dataset in (Curious(), Delegating(Inner()), Odd()):
    asked.clear()
    print(list(DataLoader(dataset, batch_size=2, collate_fn=plain)), asked)
    asked.clear()
    print(list(DataLoader(dataset, batch_size=None, sampler=[1, 2], collate_fn=plain)), asked)
