# SPDX-License-Identifier: Apache-2.0
"""Loops over DataLoaders, one a name: python loops.py NAME...

A line that makes a loader ends in a comment that names it; the tests look for the line.
"""

import sys
import threading
import time

import torch
from timing import Clock, Slow, delay_s, report
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info


class Stream(IterableDataset):
    """The items of Slow, as a stream that workers share."""

    def __init__(self, length: int, factor: float = 1) -> None:
        self.items = Slow(length, factor)

    def __iter__(self):
        info = get_worker_info()
        step, start = (info.num_workers, info.id) if info else (1, 0)
        for index in range(start, len(self.items), step):
            yield self.items[index]


class Named(DataLoader):
    """A user's subclass with arguments of its own."""

    def __init__(self, dataset, label: str, **options) -> None:
        self.label = label
        super().__init__(dataset, **options)

    def __iter__(self):
        return super().__iter__()


class Nested(Dataset):
    """Every item comes out of another loader."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        inner = DataLoader(Slow(3), batch_size=1)
        return index + sum(int(batch) for batch in inner) * 0


def workers0() -> None:
    clock = Clock()
    loader = DataLoader(Slow(241), batch_size=2)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def workers2() -> None:
    clock = Clock()
    loader = DataLoader(Slow(241, 2), batch_size=2, num_workers=2)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def pinned() -> None:
    clock = Clock()
    loader = DataLoader(Slow(240, 2), batch_size=2, num_workers=2, pin_memory=True)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def persistent() -> None:
    clock = Clock()
    data = Slow(80, 2)
    loader = DataLoader(data, batch_size=2, num_workers=2, persistent_workers=True)  # loader: main
    for _ in range(3):
        clock.exhaust(loader)
    begin = time.perf_counter_ns()
    del loader  # and its workers with it
    clock.add_startup(0, time.perf_counter_ns() - begin)
    report(main=clock)


def epochs() -> None:
    clock = Clock()
    loader = DataLoader(Slow(81), batch_size=2)  # loader: main
    for _ in range(3):
        clock.exhaust(loader)
    report(main=clock)


def train_and_validate() -> None:
    train, validation = Clock(), Clock()
    train_loader = DataLoader(Slow(120), batch_size=2, shuffle=True)  # loader: train
    validation_loader = DataLoader(Slow(51, 1.5), batch_size=1)  # loader: validation
    for _ in range(2):
        train.exhaust(train_loader)
        validation.exhaust(validation_loader)
    report(train=train, validation=validation)


def anew() -> None:
    clock = Clock()
    for _ in range(4):
        loader = DataLoader(Slow(60), batch_size=2)  # loader: main
        clock.exhaust(loader)
    report(main=clock)


def one_by_one() -> None:
    clock = Clock()
    loader = DataLoader(Slow(60), batch_size=2)  # loader: main
    for _ in range(25):
        clock.take(clock.start(loader), True)
    report(main=clock)


def stream() -> None:
    clock = Clock()
    loader = DataLoader(Stream(240), batch_size=2)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def stream_workers() -> None:
    clock = Clock()
    loader = DataLoader(Stream(240, 2), batch_size=2, num_workers=2)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def early_break() -> None:
    clock = Clock()
    loader = DataLoader(Slow(400), batch_size=2)  # loader: main
    clock.exhaust(loader, 110)
    clock.exhaust(loader, 10)
    report(main=clock)


def early_break_workers() -> None:
    clock = Clock()
    loader = DataLoader(Slow(400, 2), batch_size=2, num_workers=2)  # loader: main
    clock.exhaust(loader, 110)
    clock.exhaust(loader, 10)
    report(main=clock)


def zipped() -> None:
    left, right = Clock(), Clock()
    left_loader = DataLoader(Slow(110), batch_size=1)  # loader: left
    right_loader = DataLoader(Slow(220), batch_size=2)  # loader: right
    for _ in zip(left.epoch(left_loader), right.epoch(right_loader), strict=False):
        pass
    report(left=left, right=right)


def in_thread() -> None:
    clock = Clock()
    loader = DataLoader(Slow(220), batch_size=2)  # loader: main
    thread = threading.Thread(target=clock.exhaust, args=(loader,))
    thread.start()
    thread.join()
    report(main=clock)


def make_loader(data: Slow) -> DataLoader:
    return DataLoader(data, batch_size=1)


def helper_function() -> None:
    one, other = Clock(), Clock()
    one_loader = make_loader(Slow(110))
    other_loader = make_loader(Slow(105))
    one.exhaust(one_loader)
    other.exhaust(other_loader)
    report(one=one, other=other)


def subclass() -> None:
    clock = Clock()
    loader = Named(Slow(220), "mine", batch_size=2)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def nested() -> None:
    clock = Clock()
    loader = DataLoader(Nested(110), batch_size=1)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def nested_workers() -> None:
    clock = Clock()
    loader = DataLoader(Nested(110), batch_size=1, num_workers=1)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def spawned_workers() -> None:
    clock = Clock()
    context = "spawn"
    data = Slow(220, 2)
    loader = DataLoader(data, 2, num_workers=1, multiprocessing_context=context)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def no_batching() -> None:
    clock = Clock()
    loader = DataLoader(Slow(120), batch_size=None)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


def add_up(items: list[int]) -> dict[str, torch.Tensor]:
    return {"values": torch.tensor(items), "names": torch.zeros(len(items), 4)}


def custom_collate() -> None:
    clock = Clock()
    loader = DataLoader(Slow(220), batch_size=2, collate_fn=add_up)  # loader: main
    clock.exhaust(loader)
    report(main=clock)


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert delay_s(0) > 0
    for name in sys.argv[1:]:
        globals()[name]()
