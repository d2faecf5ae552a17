# SPDX-License-Identifier: Apache-2.0
"""A step's phases by marks beside datastall's own: what check_steps.py takes for the truth.

Each of the places (next(), backward, an optimizer, torch.save) is wrapped in Python, outside of
what datastall put there, and its times are kept as CLOCK_REALTIME ns, as a trace's are. Which phase
the time between them is follows from the page docs/steps.md, and is written here a second time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

#: (kind, begin, end) of the outermost calls, as they ended.
marks: list[tuple[str, int, int]] = []
_open: list[str] = []


#: Begins of the waits in which no batch came: iter(), and the end of an iterator.
_without_batch: set[int] = set()


def marked(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if kind in _open:
            return function(*args, **kwargs)
        _open.append(kind)
        begin = time.time_ns()
        got = False
        try:
            answer = function(*args, **kwargs)
            got = function.__name__ == "__next__"
            return answer
        finally:
            if kind == "input" and not got:
                _without_batch.add(begin)
            marks.append((kind, begin, time.time_ns()))
            _open.remove(kind)

    return call


def mark_everything() -> None:
    """After datastall has put its own in place."""
    loader = torch.utils.data.DataLoader
    loader.__iter__ = marked("input", loader.__iter__)  # type: ignore[method-assign]
    iterator = torch.utils.data.dataloader._BaseDataLoaderIter
    iterator.__next__ = marked("input", iterator.__next__)  # type: ignore[method-assign]
    backward = marked("backward", torch.autograd._engine_run_backward)
    torch.autograd._engine_run_backward = backward  # type: ignore[attr-defined]
    torch.autograd.graph._engine_run_backward = backward
    torch.save = marked("checkpoint", torch.save)
    for name in ("SGD", "Adam", "AdamW"):
        kind = getattr(torch.optim, name)
        kind.step = marked("optimizer", kind.step)


def phases() -> list[tuple[str, int, int]]:
    """What the marks say of the time from the first to the last of them: no gaps, no overlaps."""
    flat = _without_overlaps(sorted(marks, key=lambda mark: mark[1]))
    found: list[tuple[str, int, int]] = []
    worked = True
    for (kind, begin, end), following in zip(flat, [*flat[1:], None], strict=True):
        found.append((kind, begin, end))
        if kind in ("backward", "optimizer"):
            worked = True
        elif kind == "input":
            worked = begin in _without_batch
        if following is not None:
            found.append((_between(worked, following[0]), end, following[1]))
    return found


def _between(worked: bool, following: str) -> str:
    if following in ("backward", "forward"):
        return "forward"
    if following == "optimizer":
        return "gradients" if worked else "forward"
    return "between" if worked else "no_backward"


def _without_overlaps(nested: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """A backward inside an optimizer's closure cuts it in two; what came before it is a forward."""
    flat: list[tuple[str, int, int]] = []
    for kind, begin, end in nested:
        if flat and begin < flat[-1][2]:
            outer, outer_begin, outer_end = flat.pop()
            first = "forward" if (outer, kind) == ("optimizer", "backward") else outer
            flat.append((first, outer_begin, begin))
            flat.append((kind, begin, end))
            flat.append((outer, end, outer_end))
        else:
            flat.append((kind, begin, end))
    return flat
