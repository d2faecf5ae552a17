# SPDX-License-Identifier: Apache-2.0
"""``datastall run --set``: other values for arguments of DataLoader's constructor.

Only what decides how batches are made, never which: the command line refuses the rest. A loader
gets them as if they stood in the program's own call, errors of torch's included. What torch refuses
without workers (a window, workers that stay) is left out where there are none.
"""

from __future__ import annotations

import functools
import inspect
import multiprocessing.process
import os
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _sites
from ._looks import name_of

#: Arguments that torch's constructor refuses without workers, and what it has them be.
ONLY_WITH_WORKERS: dict[str, Any] = {
    "prefetch_factor": None,
    "persistent_workers": False,
    "multiprocessing_context": None,
    "timeout": 0,
}


@dataclass(frozen=True)
class Setting:
    loader: str  # "": every one
    argument: str
    value: Any


def _value_of(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    return int(text) if text.isdigit() else text


def parse(text: str) -> list[Setting]:
    """Lines of "NAME:argument=value" or "argument=value", as the launcher checked them."""
    settings = []
    for line in text.splitlines():
        left, _, value = line.rpartition("=")
        loader, _, argument = left.rpartition(":")
        settings.append(Setting(loader, argument, _value_of(value)))
    return settings


_took: dict[int, weakref.ref[Any]] = {}


def took(loader: object) -> bool:
    """Whether its constructor got a value that is not the program's."""
    reference = _took.get(id(loader))
    return reference is not None and reference() is loader


def _remember(loader: object) -> None:
    key = id(loader)
    try:
        _took[key] = weakref.ref(loader, lambda _: _took.pop(key, None))
    except TypeError:
        pass  # of a class without weak references: it has the value, and nothing says so


def _is_meant(setting: Setting, site: str, dataset: object) -> bool:
    name = setting.loader
    return name in ("", site, name_of(type(dataset))) or name.startswith(f"{site} ")


def _without_workers(arguments: dict[str, Any], names: frozenset[str]) -> None:
    if arguments.get("num_workers", 0) == 0:
        for name, value in ONLY_WITH_WORKERS.items():
            if name in names and name in arguments:
                arguments[name] = value


def _cannot_have_workers() -> bool:
    """A worker of another loader, or another daemon: it may not have children."""
    return bool(multiprocessing.process.current_process().daemon)


def wrap(
    original: Callable[..., None], settings: list[Setting], say_once: Callable[[str], None]
) -> Callable[..., None]:
    """What stands in for DataLoader.__init__."""
    signature = inspect.signature(original)
    names = frozenset(signature.parameters)

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:
            original(self, *args, **kwargs)  # raises what it would without us
            return
        site = _sites.site_of(sys._getframe(1), self)
        mine = [one for one in settings if _is_meant(one, site, bound.arguments.get("dataset"))]
        for one in mine:
            if one.argument not in names:
                say_once(f"this PyTorch's DataLoader has no {one.argument}: it is not set")
        mine = [one for one in mine if one.argument in names]
        if not mine or _cannot_have_workers():
            original(self, *args, **kwargs)
            return
        for one in mine:
            bound.arguments[one.argument] = one.value
        _without_workers(bound.arguments, names)
        original(*bound.args, **bound.kwargs)
        _remember(self)

    return __init__


def patch(loader: Any, say_once: Callable[[str], None]) -> None:
    """Wraps the constructor of torch's DataLoader where the run was told to."""
    text = os.environ.get("DATASTALL_SET", "")
    original = loader.__dict__["__init__"]
    if text and not getattr(original, "_datastall_sets", False):
        stand_in: Any = wrap(original, parse(text), say_once)
        stand_in._datastall_sets = True
        loader.__init__ = stand_in
