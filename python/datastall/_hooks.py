"""Stands in for the methods of torch's DataLoader that a program waits in.

The timing itself is C (``_core.TimedNext``); here is what happens once per loader or epoch.
Everything fails open: a program runs as it would without datastall, whatever goes wrong here.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from . import _core, _feeding

WAIT_ITER = 2  # enum datastall_wait_kind
SOURCE_WATCH, SOURCE_TORCH = 2, 3  # enum datastall_source
PIN_MEMORY, PERSISTENT_WORKERS = 1, 2  # DATASTALL_LOADER_*

#: A loader that one of these makes belongs to the line of the program that called them.
FRAMEWORKS = frozenset(
    {
        *("torch", "torchdata", "lightning", "pytorch_lightning", "lightning_fabric"),
        *("accelerate", "transformers", "ignite", "fastai", "composer", "datasets"),
        *("torch_geometric", "webdataset", "deepspeed", "timm", "monai", "datastall"),
    }
)
MAX_FRAMES = 24

_lock = threading.RLock()
_monitor: _core.Monitor | None = None
_off = False
_pending_stage: str | None = None
_directory: str | None = None
_run_name: str | None = None
_patched: ModuleType | None = None
_sites: dict[str, str] = {}  # display name -> identity
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
    info = getattr(sys.modules.get("torch.utils.data"), "get_worker_info", None)
    return info is not None and info() is not None


def _torch_cuda_is_up() -> bool:
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return cuda is not None and bool(cuda.is_initialized())


def _uses_gpu() -> bool:
    """Whether a wait may be hidden behind GPU work: torch's, or that of whoever loaded a driver."""
    return _torch_cuda_is_up() or _core.gpu_driver_is_loaded()


def _end() -> None:
    if _monitor is not None:
        _monitor.note_accelerator(_uses_gpu())
        _monitor.finish()


def _register_end() -> None:
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
            fresh = _core.Monitor(_directory, _run_name, False, _uses_gpu)
            if "DATASTALL_RUN_DIR" not in os.environ:
                _sample_gpus(fresh)
            if _pending_stage is not None:
                fresh.stage(_pending_stage)
        except Exception as error:
            _off = True
            say(f"{error}; nothing is recorded in process {os.getpid()}")
            _leave_mark("recording-failed")
            return None
        _monitor = fresh
        _register_end()
        return fresh


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


# ---- where a loader comes from ----


def _is_framework(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in FRAMEWORKS


def describe_site(frame: FrameType | None, skip_init_of: object = None) -> tuple[str, str, str]:
    """(identity, site, name) of the call that `frame` makes.

    The identity is the whole call path, so that two calls of one helper function are two loaders,
    and a loader made anew each epoch by one line is one.
    """
    path: list[str] = []
    user: list[str] = []
    maker = ""
    depth = 0
    while frame is not None and depth < MAX_FRAMES:
        code = frame.f_code
        inside_init = (
            skip_init_of is not None
            and code.co_name == "__init__"
            and frame.f_locals.get("self") is skip_init_of
        )
        where = f"{code.co_filename}:{frame.f_lineno}"
        path.append(where)
        if not inside_init:
            if not _is_framework(frame):
                user.append(f"{os.path.basename(code.co_filename)}:{frame.f_lineno}")
            elif not user:
                maker = code.co_name  # the framework's function that the program called for
        frame = frame.f_back
        depth += 1
    site = user[0] if user else (os.path.basename(path[0]) if path else "")
    identity = "\n".join(path)
    name = f"{site} {maker}()" if maker.startswith("get_") and user else site
    taken = _sites.setdefault(name, identity)
    if taken != identity and len(user) > 1:
        name = f"{site} from {user[1]}"
    return identity, site, name


def _type_name(dataset: object) -> str:
    name = type(dataset).__name__
    inner = getattr(dataset, "dataset", None) if name == "Subset" else None
    return f"{name}[{type(inner).__name__}]" if inner is not None else name


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _after_loader_init(args: tuple, kwargs: Any, result: Any, begin: int, end: int) -> None:
    loader = args[0]
    # Plain strings, so that the loader stays as picklable as it was. The caller of __init__ is our
    # caller: C has no frame.
    loader.__dict__["_datastall_site"] = describe_site(sys._getframe(1), loader)


def _register(loader: Any) -> _core.Loader | None:
    recording = monitor()
    if recording is None:
        return None
    name, _ = getattr(_override, "value", None) or (None, None)
    # A class with an __init__ of its own (torchdata's StatefulDataLoader) is known by its loop.
    described = loader.__dict__.get("_datastall_site") or describe_site(sys._getframe(1))
    identity, site, site_name = described
    if name is None and not _pending_stage:
        name = site_name
    dataset_type = _type_name(loader.dataset)
    sampler = type(getattr(loader, "sampler", None)).__name__
    flags = (PIN_MEMORY if loader.pin_memory else 0) | (
        PERSISTENT_WORKERS if getattr(loader, "persistent_workers", False) else 0
    )
    workers = _number(loader.num_workers)
    return recording.loader(
        name=name,
        site=site,
        dataset_type=dataset_type,
        identity=f"{name if name != site_name else ''}\n{identity}\n{dataset_type}\n{workers}\n"
        f"{loader.batch_size}\n{sampler}",
        num_workers=workers,
        prefetch_factor=_number(loader.prefetch_factor) if workers > 0 else -1,
        batch_size=_number(loader.batch_size),
        source=SOURCE_TORCH,
        flags=flags,
    )


def _consumer_for(iterator: Any, loader: Any) -> _core.Loader | None:
    """Gives the iterator a consumer, or None where nothing is recorded. Returns the core loader."""
    # What feeds it is learnt at its first next(), when it is complete; after iter() it is.
    core_loader = None
    try:
        core_loader = _register(loader)
        _, measure = getattr(_override, "value", None) or (None, None)
        consumer = None if core_loader is None else _core.Consumer(core_loader, measure)
        iterator._datastall = consumer
        if _monitor is not None:
            _monitor.note_accelerator(_uses_gpu())
            _watch_side_streams()
    except Exception as error:
        iterator._datastall = None
        say_once(f"a loader could not be registered: {error!r}; it is not recorded")
    return core_loader


def _after_loader_iter(args: tuple, kwargs: Any, iterator: Any, begin: int, end: int) -> None:
    loader = args[0]
    previous = iterator.__dict__.get("_datastall")
    epoch = 1 if previous is None else previous.epoch() + 1
    # Persistent workers hand out the same iterator again: one consumer per epoch all the same,
    # since watch() may have given the loader another name.
    core_loader = _consumer_for(iterator, loader)
    if core_loader is not None:
        core_loader.record(begin, end, WAIT_ITER)
        _feeding.feed(iterator._datastall, iterator, epoch, begin)


def _after_iterator_init(args: tuple, kwargs: Any, result: Any, begin: int, end: int) -> None:
    """Iterators that were not made by DataLoader.__iter__ (StatefulDataLoader has its own)."""
    if len(args) > 1:
        _consumer_for(args[0], args[1])


_side_streams_watched = False


def _watch_side_streams() -> None:
    """Notices the first `with torch.cuda.stream(...)` of the program.

    Work on such a stream does not keep the consumer's stream busy, so stalls are upper bounds from
    then on. torch's own uses (capturing a graph) do not count.
    """
    global _side_streams_watched
    if _side_streams_watched or not _torch_cuda_is_up():
        return
    _side_streams_watched = True
    context = getattr(sys.modules["torch"].cuda, "StreamContext", None)
    original = None if context is None else context.__dict__.get("__enter__")
    if context is None or original is None:
        return

    def after(args: tuple, kwargs: Any, result: Any, begin: int, end: int) -> None:
        caller = str(sys._getframe(1).f_globals.get("__name__", ""))
        if args[0].stream is not None and caller.partition(".")[0] != "torch":
            _core.note_side_stream()
            context.__enter__ = original  # once is enough

    context.__enter__ = _core.Around(original, after)


def _adopt(iterator: Any) -> Any:
    """An iterator made before the hooks: its loader is gone, but much of it is in the iterator."""
    iterator._datastall = None
    recording = monitor()
    if recording is not None:
        dataset_type = _type_name(iterator._dataset)
        core_loader = recording.loader(
            site="",
            dataset_type=dataset_type,
            name=dataset_type,
            num_workers=_number(iterator._num_workers),
            source=SOURCE_TORCH,
        )
        iterator._datastall = _core.Consumer(core_loader)
    return iterator._datastall


def patch(dataloader: ModuleType) -> None:
    """Puts the stand-ins into torch.utils.data.dataloader; a second call does nothing."""
    global _patched
    with _lock:
        if _patched is not None:
            return
        base = dataloader._BaseDataLoaderIter
        loader = dataloader.DataLoader
        tensor = getattr(sys.modules.get("torch"), "Tensor", None)
        if tensor is not None:
            _core.set_tensor_type(tensor)
        stream_getter = getattr(
            getattr(sys.modules.get("torch"), "_C", None), "_cuda_getCurrentRawStream", None
        )
        if stream_getter is not None:
            _core.set_gpu_questions(stream_getter, _torch_cuda_is_up)
        # All or nothing: every original must be there before the first is replaced.
        stand_ins = [
            (loader, "__init__", _core.Around(loader.__dict__["__init__"], _after_loader_init)),
            # The recording is there before workers are forked, which inherit it.
            (
                loader,
                "__iter__",
                _core.Around(loader.__dict__["__iter__"], _after_loader_iter, monitor),
            ),
            (base, "__init__", _core.Around(base.__dict__["__init__"], _after_iterator_init)),
            (base, "__next__", _core.TimedNext(base.__dict__["__next__"], _adopt)),
        ]
        for owner, name, stand_in in stand_ins:
            setattr(owner, name, stand_in)
        _patched = dataloader
        # By itself: waits are recorded also where this torch is made otherwise.
        try:
            _feeding.patch(dataloader, lambda: _monitor)
        except Exception as error:
            say_once(f"why a loader is slow cannot be told with this PyTorch: {error!r}")


def is_hooked(iterable: object) -> bool:
    """True for a loader whose iterators the hooks time."""
    return _patched is not None and isinstance(iterable, _patched.DataLoader)


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
    return _Renamed(iterator, (name, measure))


class _LazyFinder:
    """For install(): patches torch.utils.data.dataloader when it is imported."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != "torch.utils.data.dataloader":
            return None
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
        patch(module)
    except Exception as error:
        say(f"this PyTorch cannot be hooked ({error!r}); use datastall.watch() instead")


def install(directory: str | None, run_name: str | None) -> None:
    """See datastall.install()."""
    global _directory, _run_name
    with _lock:
        if _monitor is None:
            _directory, _run_name = directory, run_name
        module = sys.modules.get("torch.utils.data.dataloader")
        if module is not None and hasattr(module, "DataLoader"):
            _patch_openly(module)
        elif _LazyFinder not in sys.meta_path:
            sys.meta_path.insert(0, _LazyFinder)
