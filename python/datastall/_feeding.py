"""Stands in for what makes batches and brings them to the loop, so that a wait can be explained.

In a worker (and in the loop's own process with ``num_workers=0``): the fetcher's ``fetch``. Beside
the loop: the queue, the sampler, pinning. The timing is C (python/feeding.c); here is what happens
once per process, iterator or epoch. What is not there in some release of torch stays unknown.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import sys
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from types import ModuleType
from typing import Any

from . import _core

FETCH_EACH, FETCH_ALL, FETCH_ONE = 0, 1, 2  # enum fetch_mode in feeding.c

_monitor: Callable[[], _core.Monitor | None] | None = None
_fetchers: tuple[type, ...] = ()


def _mode_of(fetcher: Any) -> int | None:
    """How a fetcher's items can be told apart; None for one that torch did not make."""
    if type(fetcher) not in _fetchers:
        return None
    if not fetcher.auto_collation:
        return FETCH_ONE
    is_map = type(fetcher).__name__ == "_MapDatasetFetcher"
    return FETCH_ALL if is_map and getattr(fetcher.dataset, "__getitems__", None) else FETCH_EACH


def _mark(fetcher: Any, consumer: _core.Consumer | None) -> None:
    mode = _mode_of(fetcher)
    if mode is None:
        return
    if mode != FETCH_EACH and type(fetcher.collate_fn) is not _core.Collate:
        fetcher.collate_fn = _core.Collate(fetcher.collate_fn, mode == FETCH_ONE)
    fetcher._datastall = _core.Fetch(mode, consumer)


def _parent_pid() -> int:
    parent = multiprocessing.parent_process()
    return parent.pid if parent is not None and parent.pid is not None else os.getppid()


def _watch_pickling() -> None:
    """In a worker: batches are pickled by a thread of the queue. The bytes are the same."""
    pickler: Any = ForkingPickler
    original = pickler.__dict__.get("dumps")
    inner: Any = getattr(original, "__func__", None)
    if isinstance(original, classmethod) and type(inner) is not _core.TimedDumps:
        stand_in: Any = _core.TimedDumps(inner)
        pickler.dumps = classmethod(stand_in)


_ends: int | None = None  # the process that says its end


def _say_end() -> None:
    """In a worker: it may end before it looked for the entry that its parent gave it."""
    global _ends
    if _ends != os.getpid():
        _ends = os.getpid()
        # After the queue's thread was joined, which pickles to the last.
        multiprocessing.util.Finalize(None, _core.worker_end, exitpriority=-100)


def _after_create_fetcher(args: tuple, kwargs: Any, fetcher: Any) -> None:
    """A worker's fetcher: its process begins an epoch."""
    info = sys.modules["torch.utils.data"].get_worker_info()
    dataset = args[1] if len(args) > 1 else (kwargs or {}).get("dataset")
    if info is None or info.dataset is not dataset:
        return  # the loop's own process, or a loader inside a worker's data set
    folder = os.environ.get("DATASTALL_RUN_DIR")
    if folder is not None and not folder.startswith("/"):
        folder = None
    if _core.worker_epoch(_monitor() if _monitor is not None else None, folder, _parent_pid()):
        _mark(fetcher, None)
        _watch_pickling()
        _say_end()


def _watch_queue(iterator_type: type) -> None:
    """Puts a stand-in where this kind of iterator takes batches off its queue."""
    for owner in iterator_type.__mro__:
        original = owner.__dict__.get("_try_get_data")
        if original is not None:
            if type(original) is not _core.TimedGet:
                owner._try_get_data = _core.TimedGet(original)  # type: ignore[attr-defined]
            return


def feed(consumer: _core.Consumer | None, iterator: Any, epoch: int = 1, begin_ns: int = 0) -> None:
    """Tells the core what feeds an iterator whose workers run."""
    if consumer is None:
        return
    workers = iterator._num_workers
    if workers == 0:
        fetcher = getattr(iterator, "_dataset_fetcher", None)
        if fetcher is not None and consumer.feed(0, 0, (), 1, begin_ns, 0, True):
            _mark(fetcher, consumer)
        return
    _watch_queue(type(iterator))
    pin_thread = getattr(getattr(iterator, "_pin_memory_thread", None), "native_id", None)
    consumer.feed(
        workers,
        iterator._prefetch_factor,
        tuple(worker.pid for worker in iterator._workers),
        epoch,
        begin_ns,
        pin_thread or 0,
        bool(getattr(iterator, "_in_order", True)),
    )


def patch(dataloader: ModuleType, monitor: Callable[[], _core.Monitor | None]) -> None:
    """Puts the stand-ins into torch; called once."""
    global _monitor, _fetchers
    _monitor = monitor
    utils: Any = dataloader._utils
    kind: Any = dataloader._DatasetKind
    map_fetcher = utils.fetch._MapDatasetFetcher
    iterable_fetcher = utils.fetch._IterableDatasetFetcher
    base: Any = dataloader._BaseDataLoaderIter
    # All or nothing: every original must be there before the first is replaced.
    create = kind.create_fetcher
    originals = [owner.__dict__["fetch"] for owner in (map_fetcher, iterable_fetcher)]
    next_index = base.__dict__["_next_index"]
    pin_memory = utils.pin_memory.pin_memory
    _fetchers = (map_fetcher, iterable_fetcher)
    map_fetcher.fetch = _core.TimedFetch(originals[0])
    iterable_fetcher.fetch = _core.TimedFetch(originals[1])
    base._next_index = _core.TimedSampler(next_index)
    utils.pin_memory.pin_memory = _core.TimedPin(pin_memory)
    stand_in: Any = _core.After(create, _after_create_fetcher)
    kind.create_fetcher = staticmethod(stand_in)
    _core.set_feed_maker(feed)
