# SPDX-License-Identifier: Apache-2.0
"""What is logged, for every tool alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import datastall
from datastall import _hooks

LEVELS = {"none": 0.0, "slight": 1.0, "moderate": 2.0, "severe": 3.0}


@dataclass
class Figures:
    """``numbers`` by their names with the prefix; only what is known."""

    numbers: dict[str, float] = field(default_factory=dict)
    severity: str = "unknown"
    cause: str = "unknown"


class Logger(Protocol):
    """What a callback tells its figures to."""

    def log(self, step: int) -> None: ...
    def finish(self) -> None: ...


def _rate(loader: Any, what: str) -> float | None:
    """Over the last 10 s where they are known; else over its window, of batches."""
    if what == "samples_per_s":
        recent = loader["recent_samples_per_s"]
        return recent if recent is not None else loader["samples_per_s"]
    span_ns = loader["window_end_ns"] - loader["window_start_ns"]
    return loader["batches"] / (span_ns * 1e-9) if span_ns > 0 else None


def figures() -> Figures:
    """Of the run so far; empty before the first wait. Raises OSError where it cannot be read."""
    summary = datastall.summary()
    if not summary:
        return Figures()
    loaders = [loader for loader in summary["loaders"] if loader["in_verdict"]]
    found = Figures(severity=summary["verdict"]["severity"])
    for what in ("samples_per_s", "batches_per_s"):
        rates = [_rate(loader, what) for loader in loaders]
        known = [rate for rate in rates if rate is not None]
        if known:
            found.numbers[f"datastall/{what}"] = sum(known)
    share = summary["verdict"]["worst_share"]
    if share is not None:
        found.numbers["datastall/stall_share"] = share
    if found.severity in LEVELS:
        found.numbers["datastall/severity"] = LEVELS[found.severity]
    longest = max(loaders, key=lambda loader: loader["waiting_s"], default=None)
    if longest is not None:
        found.cause = longest["why"]["primary"]
    return found


def card() -> str:
    return repr(datastall.show())


def safely(what: str, call: Callable[[], None]) -> None:
    """A training does not end because of what is said about it."""
    try:
        call()
    except Exception as error:
        _hooks.say_once(f"{what}: {error!r}")


def every(steps: int) -> int:
    """Checks how often something is logged."""
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"every_n_steps must be a whole number from 1 on, not {steps!r}")
    return steps


class Telling:
    """What the callbacks of all trainers do alike; beside the trainer's own class as a base.

    Args:
        every_n_steps: how often; reading the run takes some milliseconds.
        loggers: as of datastall.integrations.tensorboard.
        print_card: print the card when training ends.
    """

    #: What is said where it fails.
    WHAT = "datastall's figures could not be logged"

    def __init__(
        self, every_n_steps: int = 50, loggers: Sequence[Logger] = (), print_card: bool = True
    ) -> None:
        super().__init__()
        self._every = every(every_n_steps)
        self._loggers = list(loggers)
        self._print_card = print_card

    def _install(self) -> None:
        safely("datastall could not be installed", datastall.install)

    def _each(self, call: Callable[[Logger], None]) -> None:
        for logger in self._loggers:
            what = f"{self.WHAT} ({type(logger).__name__})"
            safely(what, lambda logger=logger: call(logger))  # type: ignore[misc]

    def _end(self) -> None:
        """Of the process that logs."""
        self._each(lambda logger: logger.finish())
        if self._print_card:
            safely(self.WHAT, lambda: print(card()))
