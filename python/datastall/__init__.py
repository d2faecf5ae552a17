# SPDX-License-Identifier: Apache-2.0
"""How long a program waits for its data.

Zero code: ``datastall run python train.py``. From Python::

    import datastall

    datastall.install()                      # every torch DataLoader from now on
    with datastall.stage("train"):
        for batch in datastall.watch(loader, name="train"):   # any iterable
            ...
    print(datastall.summary()["verdict"]["text"])

Recording never raises into the program, never blocks it and never changes what it sees. What the
figures mean: ``datastall help measuring``; the dictionary of :func:`summary`:
``datastall help json``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

if "t" in sys.abiflags:
    # Objects have another layout there: what is loaded below would end the process.
    raise ImportError(
        "datastall has no build for a free-threaded Python (one without the GIL); "
        "use the ordinary build of Python",
        name=__name__,
    )

from . import _core, _hooks, _sites
from ._shown import Shown
from ._summary import Summary, nothing

__all__ = [
    "Shown",
    "Summary",
    "Watch",
    "__version__",
    "install",
    "reset",
    "show",
    "stage",
    "step",
    "summary",
    "watch",
]
__version__: str = _core.__version__

T = TypeVar("T")

#: What ``measure`` may return: a number of samples; a mapping with any of ``samples``, ``tokens``,
#: ``longest_sequence``, ``padded_tokens`` and ``batch_index`` (whole numbers, not negative); None.
Measured = int | Mapping[str, int] | None


def install(directory: str | os.PathLike[str] | None = None, name: str | None = None) -> None:
    """Hooks every ``torch.utils.data.DataLoader`` of this process, now or when torch is imported.

    For notebooks and programs that are not started by ``datastall run``; under it this does nothing
    more. The run folder is made at the first wait.

    Args:
        directory: the folder of runs; default ``$DATASTALL_DIR``, else ``./datastall-runs``.
        name: part of the run's id; default the program's name.
    """
    _hooks.install(None if directory is None else os.fspath(directory), name)


class Watch(Generic[T]):
    """An iterable whose iterators are timed; made by :func:`watch`.

    Has the length and the attributes of what it wraps.
    """

    def __init__(
        self,
        iterable: Iterable[T],
        name: str | None = None,
        measure: Callable[[T], Measured] | None = None,
    ) -> None:
        self._datastall_iterable = iterable
        self._datastall_name = name
        self._datastall_measure = measure
        self._datastall_site = _sites.describe_site(sys._getframe(1))

    def __iter__(self) -> Iterator[T]:
        iterable, name = self._datastall_iterable, self._datastall_name
        measure = self._datastall_measure
        if _hooks.is_hooked(iterable):
            return _hooks.iterate_hooked(iterable, name, measure)
        recording = _hooks.monitor()
        if recording is None:
            return iter(iterable)
        iterator, begin_ns, end_ns = _core.timed_iter(iterable)
        identity, site, site_name = self._datastall_site
        try:
            loader = recording.loader(
                name=name if name is not None or _hooks._pending_stage else site_name,
                site=site,
                dataset_type=type(iterable).__name__,
                identity=f"watch\n{name}" if name is not None else identity,
                source=_hooks.SOURCE_WATCH,
            )
        except Exception as error:
            _hooks.say_once(f"an iterable could not be registered: {error!r}; it is not recorded")
            return iterator
        consumer = _core.Consumer(loader, measure)
        if begin_ns is not None and end_ns is not None:
            consumer.begin(begin_ns, end_ns)
        return _core.TimedIterator(iterator, consumer)

    def __bool__(self) -> bool:
        return bool(self._datastall_iterable)

    def __len__(self) -> int:
        return len(self._datastall_iterable)  # type: ignore[arg-type]

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_datastall"):  # while it is being unpickled
            raise AttributeError(attribute)
        return getattr(self._datastall_iterable, attribute)


def watch(
    iterable: Iterable[T],
    name: str | None = None,
    measure: Callable[[T], Measured] | None = None,
) -> Watch[T]:
    """Times every ``next()`` of ``iterable``: a loader of any kind, a generator, an iterator.

    Around a DataLoader that is hooked already it only gives the name and ``measure``; nothing is
    counted twice. A wrapper that prefetches hides the wait, so watch the innermost iterable.

    Args:
        iterable: what the program loops over.
        name: what to call it; default the current stage, else the line that calls watch().
        measure: called with each batch, outside the measured time, to say what it is made of;
            default: look at the shapes (tensor, tuple, dict with ``input_ids`` and
            ``attention_mask``, ``cu_seqlens``; ``datastall help measuring`` lists the types),
            which runs no code of the batch's. An error in it is ignored and the batch's
            composition is unknown.
    """
    return Watch(iterable, name, measure)


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Names the phase that the program is in: ``with datastall.stage("validate"): ...``.

    One stage at a time for the whole process, whichever thread waits; the one before comes back at
    the end. Also a decorator. Names are cut to 63 bytes; after 64 different names the rest share
    "other".
    """
    before = _hooks.set_stage(name)
    try:
        yield
    finally:
        _hooks.set_stage(before)


def step() -> None:
    """Says that a step begins here, where steps do not begin with a batch of a loader.

    Steps are counted by it from the first call on; where their time goes shows either way
    (``datastall help steps``).
    """
    _hooks.mark_step()


def _folder() -> str:
    """The run folder of this process; "" before the first wait."""
    recording = _hooks._monitor
    return "" if recording is None else os.path.dirname(recording.path())


def summary() -> Summary:
    """The figures of the run so far, as ``datastall show --json`` prints them.

    Each key: ``datastall help json``. Covers every process of the run that could be read. An
    empty dictionary before the first wait.

    Raises:
        OSError: the run folder is gone or cannot be read.
    """
    folder = _folder()
    if not folder:
        return cast(Summary, nothing())
    _core.finish_steps()
    from . import _reading  # what is only recorded does not carry it

    return cast(Summary, _reading.summary(folder))


def show() -> Shown:
    """The run so far, for people: as the last line of a notebook's cell, or ``print()`` it.

    What it shows is of this moment; call it again for what came later. To look at one cell alone,
    call :func:`reset` before.

    Raises:
        OSError: the run folder is gone or cannot be read.
    """
    folder = _folder()
    if not folder:
        return Shown({}, "")
    from . import _reading

    return Shown(_reading.summary(folder), _reading.card(folder))


def reset(name: str | None = None) -> None:
    """Ends the run here: what is recorded from now on is a run of its own, in a folder of its own.

    For notebooks: one run per experiment, each with its own figures. An iteration that is under way
    is recorded up to here. Under ``datastall run``, whose run the program is, nothing is done, and
    that is said once; nor is anything before the first wait.

    Args:
        name: part of the new run's id; default as before.
    """
    _hooks.reset(name)
