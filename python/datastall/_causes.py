# SPDX-License-Identifier: Apache-2.0
"""Stands in for what makes batches and brings them to the loop, so that a wait can be explained.

In a worker (and in the loop's own process with ``num_workers=0``): the fetcher's ``fetch``. Beside
the loop: the queue, the sampler, pinning. The timing is C (python/fetch_causes.c, loop_causes.c);
here is what happens once per process, iterator or epoch. What is not there in some release of torch
stays unknown.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import sys
import weakref
from collections import deque
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from types import MemberDescriptorType, ModuleType
from typing import Any

from . import _core
from ._looks import held, in_class, mro, namespace

REFUSED_FEED = 3  # enum rf_refusal
FETCH_EACH, FETCH_ALL, FETCH_ONE = 0, 1, 2  # enum fetch_mode in python/fetch_causes.c

_monitor: Callable[[], _core.Monitor | None] | None = None
_fetchers: tuple[type, ...] = ()
#: The last iterators with workers. Not a WeakSet: hashing them may be somebody's code.
_with_workers: deque[weakref.ref[Any]] = deque(maxlen=64)
_asked_unseen = True  # whether a data set asks which worker it is in cannot be seen


def worker_info() -> Any:
    """What torch's get_worker_info() says, without asking as the program would; None: no worker."""
    worker = sys.modules.get("torch.utils.data._utils.worker")
    return getattr(worker, "_worker_info", None)


def _has_no_getitems(dataset: object) -> bool:
    """It is certain that torch will ask for items one by one.

    Not by asking the data set: a __getattr__ may be somebody's.
    """
    kind = type(dataset)
    return (
        held(dataset, "__getitems__") is None
        and in_class(kind, "__getitems__") is None
        and in_class(kind, "__getattr__") is None
        and in_class(kind, "__getattribute__") is object.__getattribute__
    )


def _mode_of(fetcher: Any) -> int | None:
    """How a fetcher's items can be told apart; None for one that torch did not make."""
    if not any(type(fetcher) is one for one in _fetchers):
        return None
    if held(fetcher, "auto_collation") is not True:
        return FETCH_ONE
    is_map = type(fetcher) is _fetchers[0]
    return FETCH_EACH if not is_map or _has_no_getitems(held(fetcher, "dataset")) else FETCH_ALL


def _remember_fetch(fetcher: Any, consumer: _core.Consumer | None) -> bool:
    mode = _mode_of(fetcher)
    if mode is not None:
        is_stream = type(fetcher) is not _fetchers[0]
        _core.remember(fetcher, _core.Fetch(mode, consumer, is_stream))
    return mode is not None


def _refuse_feed() -> None:
    recording = _monitor() if _monitor is not None else None
    if recording is not None:
        recording.count_refused(REFUSED_FEED, 1)


def _parent_pid() -> int:
    parent = multiprocessing.parent_process()
    return parent.pid if parent is not None and parent.pid is not None else os.getppid()


def _time_pickling() -> None:
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


def _after_create_fetcher(args: tuple, kwargs: Any, fetcher: Any, took_ns: int) -> None:
    """A worker's fetcher: its process begins an epoch."""
    info = worker_info()
    dataset = args[1] if len(args) > 1 else (kwargs or {}).get("dataset")
    if info is None or info.dataset is not dataset:
        return  # the loop's own process, or a loader inside a worker's data set
    folder = os.environ.get("DATASTALL_RUN_DIR")
    if folder is not None and not folder.startswith("/"):
        folder = None
    recording = _monitor() if _monitor is not None else None
    if _core.worker_epoch(recording, folder, _parent_pid(), took_ns):
        _remember_fetch(fetcher, None)
        _time_pickling()
        _say_end()
        if _asked_unseen:
            _core.worker_asked()


def _time_queue(iterator_type: type) -> None:
    """Puts a stand-in where this kind of iterator takes batches off its queue."""
    for owner in mro(iterator_type):
        original = namespace(owner).get("_try_get_data")
        if original is not None:
            if type(original) is not _core.TimedGet:
                worker = sys.modules.get("torch.utils.data._utils.worker")
                end: Any = getattr(worker, "_IterableDatasetStopIteration", None)
                owner._try_get_data = _core.TimedGet(original, end)  # type: ignore[attr-defined]
            return


def _pid_of(process: object) -> int:
    """Of a process of multiprocessing; 0: unknown."""
    pid = held(held(process, "_popen"), "pid")
    return pid if type(pid) is int else 0


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def open_feed(consumer: object, iterator: object, epoch: int = 1, begin_ns: int = 0) -> None:
    """Tells the core what feeds an iterator whose workers run."""
    if type(consumer) is not _core.Consumer:
        return
    workers = held(iterator, "_num_workers")
    fetcher = held(iterator, "_dataset_fetcher")
    if type(workers) is not int or (workers == 0 and fetcher is None):
        if begin_ns == 0:  # else the core asks once more, at the first next()
            _refuse_feed()
        return
    if workers == 0:
        if consumer.open_feed(0, 0, (), 1, begin_ns, 0, True) and not _remember_fetch(
            fetcher, consumer
        ):
            _refuse_feed()
        return
    _time_queue(type(iterator))
    _with_workers.append(weakref.ref(iterator))
    consumer.open_feed(
        workers,
        _count(held(iterator, "_prefetch_factor")),
        tuple(_pid_of(process) for process in held(iterator, "_workers") or ()),
        epoch,
        begin_ns,
        _count(held(held(iterator, "_pin_memory_thread"), "_native_id")),
        held(iterator, "_in_order") is not False,
    )


def _status_of(process: object) -> int | None:
    """The exit status of a process of multiprocessing, a signal negative; None: it runs.

    It is left to be waited for by whoever does.
    """
    status = held(held(process, "_popen"), "returncode")
    pid = _pid_of(process)
    if type(status) is int or pid == 0:
        return status
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:
        return None
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def tell_failure(consumer: object, iterator: object) -> None:
    """Tells the core of the workers that ended: next() raised, or the program ends."""
    if type(consumer) is not _core.Consumer:
        return
    for number, process in enumerate(held(iterator, "_workers") or ()):
        status = _status_of(process)
        if status is not None:
            consumer.worker_ended(number, status)


def tell_failures() -> None:
    """The program ends: torch raises for a worker that died wherever the loop is just then."""
    for reference in list(_with_workers):
        iterator = reference()
        if iterator is not None:
            tell_failure(_core.recall(iterator), iterator)


def _watch_for_questions(worker: Any) -> None:
    """Notes in a worker that its WorkerInfo was asked for the worker's id."""
    global _asked_unseen
    kind: Any = getattr(worker, "WorkerInfo", None)
    if kind is None:
        return
    slot = namespace(kind).get("id")  # of a class with slots; else the objects hold it
    if type(slot) is not _core.WorkerId:
        if slot is not None and type(slot) is not MemberDescriptorType:
            return
        kind.id = _core.WorkerId(slot)
    _asked_unseen = False


def patch(dataloader: ModuleType, monitor: Callable[[], _core.Monitor | None]) -> None:
    """Puts the stand-ins into torch; called once."""
    global _monitor, _fetchers
    _monitor = monitor
    utils: Any = dataloader._utils
    kind: Any = dataloader._DatasetKind
    map_fetcher = utils.fetch._MapDatasetFetcher
    iterable_fetcher = utils.fetch._IterableDatasetFetcher
    base: Any = dataloader._BaseDataLoaderIter
    _fetchers = (map_fetcher, iterable_fetcher)
    create: Any = _core.After(kind.create_fetcher, _after_create_fetcher)
    stand_ins = [
        (map_fetcher, "fetch", _core.TimedFetch),
        (iterable_fetcher, "fetch", _core.TimedFetch),
        (base, "_next_index", _core.TimedSampler),
        (utils.pin_memory, "pin_memory", _core.TimedPin),
    ]
    # All or nothing: every original must be there before the first is replaced.
    originals = [vars(owner)[name] for owner, name, _ in stand_ins]
    for (owner, name, stand_in), original in zip(stand_ins, originals, strict=True):
        if type(original) is not stand_in:  # of a module that was not loaded anew
            setattr(owner, name, stand_in(original))
    kind.create_fetcher = staticmethod(create)
    _watch_for_questions(utils.worker)
    _core.set_feed_hooks(open_feed, tell_failure)
