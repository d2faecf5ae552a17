# SPDX-License-Identifier: Apache-2.0
"""torchdata.nodes, whose Loader runs a graph of nodes in place of torch's DataLoader.

Its waits are timed; what feeds it is the program's own graph, so why one is long is not told.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from . import _core, _hooks
from ._looks import held, in_class, name_of


def _consumer_of(loader: object) -> tuple[_core.Loader, _core.Consumer] | None:
    recording = _hooks.monitor()
    if recording is None:
        return None
    dataset_type = name_of(type(held(loader, "root")))
    name, site, identity = _hooks.who_is(loader, dataset_type)
    core_loader = recording.loader(
        name=name,
        site=site,
        dataset_type=dataset_type,
        identity=f"{identity}\n{dataset_type}",
        source=_hooks.SOURCE_TORCH,
    )
    return core_loader, _core.Consumer(core_loader, _hooks.overriding_measure(), False)


def _after_loader_init(args: tuple, kwargs: Any, result: Any, begin: int, end: int) -> None:
    _hooks.remember_site(args[0], name_of(type(held(args[0], "root"))))


def _after_iter(args: tuple, kwargs: Any, iterator: Any, begin: int, end: int) -> None:
    """The same iterator each epoch, begun anew: a consumer for each."""
    try:
        made = _consumer_of(args[0])
        _core.remember(iterator, None if made is None else made[1])
        if made is not None:
            made[1].begin(begin, end)
            _hooks.note_use()
    except Exception as error:
        _hooks.refuse_loader(error)


def _after_has_next(*arguments: Any) -> None:
    """The look ahead was not counted: the batch is, when it is delivered."""


def _adopt(iterator: object) -> _core.Consumer | None:
    """An iterator that was made before the hooks."""
    _core.remember(iterator, None)  # one try
    made = _consumer_of(held(iterator, "loader"))
    if made is not None:
        _core.remember(iterator, made[1])
    return None if made is None else made[1]


def patch(module: ModuleType) -> None:
    """Puts the stand-ins into torchdata.nodes.loader; a second call does nothing."""
    loader: Any = module.Loader
    iterator: Any = module.LoaderIterator
    if type(vars(iterator).get("__next__")) is _core.TimedNext:
        return
    stand_ins = [
        (loader, "__init__", _core.Around(vars(loader)["__init__"], _after_loader_init)),
        (loader, "__iter__", _core.Around(vars(loader)["__iter__"], _after_iter, _hooks.monitor)),
        (iterator, "has_next", _core.Around(vars(iterator)["has_next"], _after_has_next)),
        # Inherited: of the other nodes it stays as it is.
        (iterator, "__next__", _core.TimedNext(in_class(iterator, "__next__"), _adopt)),
    ]
    for owner, name, stand_in in stand_ins:  # all or nothing
        setattr(owner, name, stand_in)
    _hooks.add_hooked(loader, iterator)
