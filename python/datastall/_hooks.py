# SPDX-License-Identifier: Apache-2.0
"""Stands in for the methods of torch's DataLoader that a program waits in.

The timing itself is C (``_core.TimedNext``); here is what happens once per loader or epoch.
Everything fails open: a program runs as it would without datastall, whatever goes wrong here.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from . import _causes, _core, _settings, _steps
from ._looks import held, is_a, is_held, name_of
from ._sites import describe_site, number_among_alike

SOURCE_WATCH, SOURCE_TORCH = 2, 3  # enum datastall_source
PIN_MEMORY, PERSISTENT_WORKERS, STREAM = 1, 2, 4  # DATASTALL_LOADER_*, as the next three
SPAWNED, UNBATCHED, WORKER_INIT, SET = 8, 16, 32, 64
ENDS_AT_ONCE_NS = 50_000  # an iterator that has no workers to end
REFUSED_LOADER, REFUSED_ITERATOR, REFUSED_SETTING = 0, 1, 2  # enum rf_refusal

#: What a loader is asked for.
NUMBERS = ("num_workers", "prefetch_factor", "batch_size")
SETTINGS = (*NUMBERS, "dataset", "sampler", "pin_memory", "persistent_workers")

_lock = threading.RLock()
_monitor: _core.Monitor | None = None
_off = False
_pending_stage: str | None = None
_directory: str | None = None
_run_name: str | None = None
_patched: ModuleType | None = None
_override = threading.local()  # .value: (name, measure) for the iter() that watch() calls


def _tell_where_the_program_is() -> None:
    """PREFIX/bin/datastall for PREFIX/lib/pythonX.Y/site-packages/datastall."""
    prefix = os.path.abspath(__file__)
    for _ in range(5):
        prefix = os.path.dirname(prefix)
    try:
        _core.set_program(os.path.join(prefix, "bin", "datastall"))
    except UnicodeError:
        pass  # it is looked for on the PATH


_tell_where_the_program_is()


def _after_fork() -> None:
    """A thread of the parent may have held the lock; in the child nobody does."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


def say(sentence: str) -> None:
    """One line on standard error; a closed one is not our problem."""
    try:
        sys.stderr.write(f"datastall: {sentence}\n")
    except Exception:
        pass


_said: set[str] = set()


def say_once(sentence: str) -> None:
    """The same once in a process, however often it happens; of many kinds the first few."""
    if sentence not in _said and len(_said) < 8:
        _said.add(sentence)
        say(sentence)


def _leave_mark(name: str) -> None:
    """For the launcher, which would look for another reason otherwise."""
    try:
        folder = os.environ["DATASTALL_RUN_DIR"]
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(os.path.join(folder, name), flags, 0o600))
    except (KeyError, OSError):
        pass


def _in_worker() -> bool:
    return _causes.worker_info() is not None


def _torch_cuda_is_up() -> bool:
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return cuda is not None and bool(cuda.is_initialized())


def _uses_gpu() -> bool | None:
    """Whether a wait may be hidden behind GPU work: torch's, or that of whoever entered a driver.

    None: a driver is loaded, and may yet be entered; only at the end is it known that none was.
    """
    if _torch_cuda_is_up():
        return True
    if not _core.gpu_driver_is_loaded():
        return False
    return True if _core.gpu_is_open() else None


def _note_gpu(*, at_end: bool) -> None:
    used = _uses_gpu()
    if _monitor is not None and (at_end or used is not None):
        _monitor.note_accelerator(bool(used))


def _end() -> None:
    if _monitor is not None:
        _note_gpu(at_end=True)
        _causes.tell_failures()
        _core.finish_steps()
        _monitor.finish()


def _register_end() -> None:
    atexit.unregister(_end)
    atexit.register(_end)
    # A child of multiprocessing leaves with os._exit(), past atexit.
    multiprocessing = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if multiprocessing and process and process.parent_process() is not None:
        multiprocessing.Finalize(None, _end, exitpriority=0)


def _sample_gpus(fresh: _core.Monitor) -> None:
    """What hinders it costs the GPUs' figures; the run says which."""
    try:
        fresh.sample_gpus(1.0)
    except Exception as error:
        say_once(f"{error}; the GPUs are not sampled in process {os.getpid()}")


def _script_name() -> str | None:
    """A run's, as `datastall run` names it; None where there is none (-c, a notebook)."""
    words = getattr(sys, "argv", None)
    script = words[0] if type(words) is list and words else None
    if type(script) is not str or not script.endswith(".py"):
        return None
    folder, name = os.path.split(script)
    return os.path.basename(folder) or name if name == "__main__.py" else name


def monitor() -> _core.Monitor | None:
    """The recording of this process, made on the first call; None when there is none."""
    global _monitor, _off
    if _monitor is not None and _monitor.state() != "forked":
        return _monitor
    if _off or _in_worker() or os.environ.get("DATASTALL_RUN_DIR") == "off":
        return None
    with _lock:
        if _monitor is not None and _monitor.state() != "forked":
            return _monitor
        try:
            fresh = _core.Monitor(_directory, _run_name or _script_name(), False, _uses_gpu)
            if "DATASTALL_RUN_DIR" not in os.environ:
                _sample_gpus(fresh)
            if _pending_stage is not None:
                fresh.stage(_pending_stage)
        except Exception as error:
            _off = True
            say(f"{error}; nothing is recorded in process {os.getpid()}")
            _leave_mark("recording-failed")
            return None
        _core.follow_steps(fresh if _steps.is_on() else None, _steps.asks_gpu())
        _monitor = fresh
        _register_end()
        return fresh


def reset(run_name: str | None) -> None:
    """See datastall.reset()."""
    global _monitor, _run_name, _off
    if "DATASTALL_RUN_DIR" in os.environ:
        say_once("reset() does nothing under 'datastall run', whose run this is")
        return
    with _lock:
        if run_name is not None:
            _run_name = run_name
        if _monitor is not None and _monitor.state() != "forked":
            _end()
            _core.leave_run()
        _monitor, _off = None, False


def set_stage(name: str | None) -> str | None:
    """Sets the stage of this process; returns the one before."""
    global _pending_stage
    with _lock:
        before, _pending_stage = _pending_stage, name
        if _monitor is not None:
            try:
                _monitor.stage(name)
            except Exception as error:
                say_once(f"the stage {name!r} could not be set: {error!r}")
    return before


def mark_step() -> None:
    """See datastall.step()."""
    if monitor() is not None:
        _steps.patch()
        _core.mark_step()


# ---- who a loader is ----


def _top_package(frame: FrameType) -> str:
    name = dict.get(frame.f_globals, "__name__")  # somebody's own kind of dict, where it is exec()
    return name.partition(".")[0] if type(name) is str else ""


def _type_name(dataset: object) -> str:
    if dataset is None:
        return ""
    name = name_of(type(dataset))
    inner = held(dataset, "dataset") if name == "Subset" else None
    return f"{name}[{name_of(type(inner))}]" if inner is not None else name


def _number(value: object) -> int:
    return value if type(value) is int else -1


def _unreadable_settings(loader: object) -> int:
    """How many are missing, computed, or of a type that is somebody's own."""
    missing = sum(not is_held(loader, name) for name in SETTINGS)
    return missing + sum(type(held(loader, name)) not in (int, type(None)) for name in NUMBERS)


def _after_loader_init(args: tuple, kwargs: Any, result: Any, begin: int, end: int) -> None:
    remember_site(args[0], _type_name(held(args[0], "dataset")))


def remember_site(loader: object, dataset_type: str) -> None:
    """To be called by what stands in for its __init__."""
    # The caller of __init__ is our caller's: C has no frame.
    # And whether it was iterated over.
    _core.remember(loader, (*describe_site(sys._getframe(2), loader, dataset_type), False))


def _overriding() -> tuple[str | None, Callable[[Any], Any] | None]:
    """(name, measure) that watch() gave to what is iterated."""
    return getattr(_override, "value", None) or (None, None)


def overriding_measure() -> Callable[[Any], Any] | None:
    return _overriding()[1]


def who_is(loader: object, dataset_type: str) -> tuple[str | None, str, str]:
    """(name, site, identity); a name of None is that of the stage."""
    name, _ = _overriding()
    # A class with an __init__ of its own (torchdata's StatefulDataLoader) is known by its loop.
    known = _core.recall(loader) or describe_site(sys._getframe(2), loader, dataset_type)
    identity, site, site_name = known[:3]
    if name is None and not _pending_stage:
        name = site_name
    return name, site, f"{name if name != site_name else ''}\n{identity}"


def _count_object(core_loader: _core.Loader, loader: object) -> None:
    """Counts an object of the program's once; one whose making was not seen is not counted."""
    known = _core.recall(loader)
    if known is not None and not known[3]:
        core_loader.count_object()
        _core.remember(loader, (*known[:3], True))


def _start_method_of(loader: object) -> str | None:
    """Without settling it, as multiprocessing.get_context() would."""
    method = held(held(loader, "_DataLoader__multiprocessing_context"), "_name")
    if method is None:
        method = multiprocessing.get_start_method(allow_none=True)
    if method is None:
        method = "forkserver" if sys.version_info >= (3, 14) else "fork"
    return method


def _flags_of(loader: object) -> int:
    kinds = None if _patched is None else _patched._DatasetKind
    facts = (
        (PIN_MEMORY, held(loader, "pin_memory") is True),
        (PERSISTENT_WORKERS, held(loader, "persistent_workers") is True),
        (STREAM, kinds is not None and held(loader, "_dataset_kind") == kinds.Iterable),
        (SPAWNED, _start_method_of(loader) in ("spawn", "forkserver")),
        (UNBATCHED, is_held(loader, "batch_sampler") and held(loader, "batch_sampler") is None),
        (WORKER_INIT, held(loader, "worker_init_fn") is not None),
        (SET, _settings.took(loader)),
    )
    return sum(flag for flag, holds in facts if holds)


def _register(loader: object) -> _core.Loader | None:
    """The loader of the recording that stands for this object, which need not be a DataLoader:
    what it does not have, or has in a way of its own, stays unknown."""
    recording = monitor()
    if recording is None:
        return None
    dataset_type = _type_name(held(loader, "dataset"))
    name, site, identity = who_is(loader, dataset_type)
    sampler = name_of(type(held(loader, "sampler")))
    recording.count_refused(REFUSED_SETTING, _unreadable_settings(loader))
    workers = _number(held(loader, "num_workers"))
    batch_size = _number(held(loader, "batch_size"))
    identity = f"{identity}\n{dataset_type}\n{workers}\n{batch_size}\n{sampler}"
    core_loader = recording.loader(
        name=name,
        site=site,
        dataset_type=dataset_type,
        identity=f"{identity}\n{number_among_alike(identity, loader)}",
        num_workers=workers,
        prefetch_factor=_number(held(loader, "prefetch_factor")) if workers > 0 else -1,
        batch_size=batch_size,
        source=SOURCE_TORCH,
        flags=_flags_of(loader),
    )
    _count_object(core_loader, loader)
    return core_loader


def _is_torchs(iterator: object) -> bool:
    return _patched is not None and is_a(iterator, _patched._BaseDataLoaderIter)


def _consumer_for(iterator: object, loader: object) -> _core.Loader | None:
    """Gives the iterator a consumer, or None where nothing is recorded. Returns the core loader."""
    # What feeds it is learnt at its first next(), when it is complete; after iter() it is.
    core_loader = None
    try:
        core_loader = _register(loader)
        consumer = (
            None if core_loader is None else _core.Consumer(core_loader, overriding_measure())
        )
        if _is_torchs(iterator):
            _core.remember(iterator, consumer)
        elif _monitor is not None:  # it has no next() that we see
            _monitor.count_refused(REFUSED_ITERATOR, 1)
        note_use()
    except Exception as error:
        if _is_torchs(iterator):
            _core.remember(iterator, None)
        refuse_loader(error)
    return core_loader


def note_use() -> None:
    """What the process uses, as far as it has come when a loader is iterated."""
    if _monitor is not None:
        _note_gpu(at_end=False)
        _notice_side_streams()
        _steps.patch()


def refuse_loader(error: Exception) -> None:
    if _monitor is not None:
        _monitor.count_refused(REFUSED_LOADER, 1)
    say_once(f"a loader could not be registered: {error!r}; it is not recorded")


def _begin_epoch(iterator: object, loader: object, begin: int, end: int) -> None:
    """An iterator was made, or begins anew, between these two times."""
    previous = _core.recall(iterator)
    epoch = previous.epoch() + 1 if type(previous) is _core.Consumer else 1
    # Persistent workers hand out the same iterator again: one consumer per epoch all the same,
    # since watch() may have given the loader another name.
    core_loader = _consumer_for(iterator, loader)
    if core_loader is not None:
        consumer = _core.recall(iterator)
        if type(consumer) is _core.Consumer:
            consumer.begin(begin, end)
        _causes.open_feed(consumer, iterator, epoch, begin)


def _after_loader_iter(args: tuple, kwargs: Any, iterator: Any, begin: int, end: int) -> None:
    _begin_epoch(iterator, args[0], begin, end)


def _loader_of(args: tuple, kwargs: Any) -> tuple[object, ...]:
    """What an iterator was made for: its constructor's one argument."""
    return args[1:2] if len(args) > 1 else tuple((kwargs or {}).values())[:1]


def _after_iterator_made(args: tuple, kwargs: Any, result: Any, begin: int, end: int) -> None:
    """One of torch's iterators, made by others than DataLoader.__iter__: by its _get_iterator()
    (ultralytics), for an object that is no DataLoader (fastai)."""
    for loader in _loader_of(args, kwargs):
        _begin_epoch(args[0], loader, begin, end)


def _after_iterator_init(args: tuple, kwargs: Any, result: Any, begin: int, end: int) -> None:
    """An iterator of another kind (torchdata's StatefulDataLoader has its own), half made."""
    for loader in _loader_of(args, kwargs):
        _consumer_for(args[0], loader)


def _after_shutdown(args: tuple, kwargs: Any, result: Any, begin: int, end: int) -> None:
    """An iterator's workers were ended, in no next(): it was dropped before its end.

    Maybe since one of them died: torch raises for that wherever the loop is just then.
    """
    consumer = _core.recall(args[0])
    if type(consumer) is not _core.Consumer:
        return
    _causes.tell_failure(consumer, args[0])
    if end - begin >= ENDS_AT_ONCE_NS:
        consumer.end(begin, end, held(args[0], "_persistent_workers") is True)


_side_streams_noticed = False


def _notice_side_streams() -> None:
    """Notices the first `with torch.cuda.stream(...)` of the program.

    Work on such a stream does not keep the consumer's stream busy, so stalls are upper bounds from
    then on. torch's own uses (capturing a graph) do not count.
    """
    global _side_streams_noticed
    if _side_streams_noticed or not _torch_cuda_is_up():
        return
    _side_streams_noticed = True
    context = getattr(sys.modules["torch"].cuda, "StreamContext", None)
    original = None if context is None else context.__dict__.get("__enter__")
    if context is None or original is None:
        return

    def after(args: tuple, kwargs: Any, result: Any, begin: int, end: int) -> None:
        caller = _top_package(sys._getframe(1))
        if args[0].stream is not None and caller != "torch":
            _core.note_side_stream()
            context.__enter__ = original  # once is enough

    context.__enter__ = _core.Around(original, after)


def _adopt(iterator: object) -> _core.Consumer | None:
    """An iterator made before the hooks: its loader is gone, but much of it is in the iterator."""
    _core.remember(iterator, None)  # one try
    recording = monitor()
    if recording is None:
        return None
    dataset_type = _type_name(held(iterator, "_dataset"))
    core_loader = recording.loader(
        site="",
        dataset_type=dataset_type,
        name=dataset_type,
        num_workers=_number(held(iterator, "_num_workers")),
        source=SOURCE_TORCH,
    )
    consumer = _core.Consumer(core_loader)
    _core.remember(iterator, consumer)
    return consumer


def _stand_ins(dataloader: ModuleType) -> list[tuple[Any, str, Any]]:
    """(owner, name, stand-in) of what is timed; every original must be there."""
    loader: Any = dataloader.DataLoader
    base: Any = dataloader._BaseDataLoaderIter
    making = [
        (loader, "__init__", _after_loader_init, None),
        # The recording is there before workers are forked, which inherit it.
        (loader, "__iter__", _after_loader_iter, monitor),
        (base, "__init__", _after_iterator_init, None),
        (dataloader._SingleProcessDataLoaderIter, "__init__", _after_iterator_made, monitor),
        (dataloader._MultiProcessingDataLoaderIter, "__init__", _after_iterator_made, monitor),
        (dataloader._MultiProcessingDataLoaderIter, "_shutdown_workers", _after_shutdown, None),
    ]
    return [
        *(
            (owner, name, _core.Around(owner.__dict__[name], after, before))
            for owner, name, after, before in making
        ),
        (base, "__next__", _core.TimedNext(base.__dict__["__next__"], _adopt)),
    ]


def patch(dataloader: ModuleType) -> None:
    """Puts the stand-ins into torch.utils.data.dataloader, also when it was loaded anew; a second
    call does nothing."""
    global _patched
    with _lock:
        if type(dataloader._BaseDataLoaderIter.__dict__["__next__"]) is _core.TimedNext:
            return
        tensor = getattr(sys.modules.get("torch"), "Tensor", None)
        if tensor is not None:
            _core.set_tensor_type(tensor)
        stream_getter = getattr(
            getattr(sys.modules.get("torch"), "_C", None), "_cuda_getCurrentRawStream", None
        )
        if stream_getter is not None:
            _core.set_gpu_questions(stream_getter, _torch_cuda_is_up)
        _settings.patch(dataloader.DataLoader, say_once)
        for owner, name, stand_in in _stand_ins(dataloader):  # all or nothing
            setattr(owner, name, stand_in)
        _patched = dataloader
        _steps.patch_checkpoints()
        # By itself: waits are recorded also where this torch is made otherwise.
        try:
            _causes.patch(dataloader, lambda: _monitor)
        except Exception as error:
            say_once(f"why a loader is slow cannot be told with this PyTorch: {error!r}")


_hooked: dict[type, type] = {}  # loaders of other kinds than torch's, and their iterators


def add_hooked(loader: type, iterator: type) -> None:
    _hooked[loader] = iterator


def is_hooked(iterable: object) -> bool:
    """True for a loader whose iterators the hooks time."""
    if _patched is not None and isinstance(iterable, _patched.DataLoader):
        return True
    return isinstance(iterable, tuple(_hooked))


class _Renamed:
    """An iterator of a loader whose __iter__ is a generator.

    Such a one runs, and makes its DataLoader iterator, only at next().
    """

    def __init__(self, iterator: Any, override: tuple[Any, Any]) -> None:
        self._iterator = iterator
        self._override = override

    def __iter__(self) -> _Renamed:
        return self

    def __next__(self) -> Any:
        before = getattr(_override, "value", None)
        _override.value = self._override
        try:
            return next(self._iterator)
        finally:
            _override.value = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iterator, name)


def iterate_hooked(iterable: Any, name: str | None, measure: Callable[[Any], Any] | None) -> Any:
    """iter() of a hooked loader, under another name and measured otherwise."""
    before = getattr(_override, "value", None)
    _override.value = (name, measure)
    try:
        iterator = iter(iterable)
    finally:
        _override.value = before
    if _patched is not None and isinstance(iterator, _patched._BaseDataLoaderIter):
        return iterator
    if isinstance(iterator, tuple(_hooked.values())):
        return iterator
    return _Renamed(iterator, (name, measure))


TORCH, NODES = "torch.utils.data.dataloader", "torchdata.nodes.loader"


def patch_module(module: ModuleType) -> None:
    """Puts the stand-ins into one of the two."""
    if module.__name__ == NODES:
        from . import _nodes  # few programs need it

        _nodes.patch(module)
    else:
        patch(module)


class _LazyFinder:
    """For install(): patches what it waits for when that is imported."""

    waits_for: set[str] = set()

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _LazyFinder.waits_for:
            return None
        _LazyFinder.waits_for.discard(name)
        if not _LazyFinder.waits_for:
            sys.meta_path.remove(_LazyFinder)
        import importlib.util

        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_patch(module: ModuleType) -> None:
                execute(module)
                _patch_openly(module)

            spec.loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        return spec


def _patch_openly(module: ModuleType) -> None:
    try:
        patch_module(module)
    except Exception as error:
        package = module.__name__.partition(".")[0]
        what = "torchdata.nodes" if package == "torchdata" else "PyTorch"
        say(f"this {what} cannot be hooked ({error!r}); use datastall.watch() instead")


def install(directory: str | None, run_name: str | None) -> None:
    """See datastall.install()."""
    global _directory, _run_name
    with _lock:
        if _monitor is None:
            _directory, _run_name = directory, run_name
        for name, marker in ((TORCH, "DataLoader"), (NODES, "LoaderIterator")):
            module = sys.modules.get(name)
            if module is not None and hasattr(module, marker):
                _patch_openly(module)
            else:
                _LazyFinder.waits_for.add(name)
        if _LazyFinder.waits_for and _LazyFinder not in sys.meta_path:
            sys.meta_path.insert(0, _LazyFinder)
