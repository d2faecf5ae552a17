# SPDX-License-Identifier: Apache-2.0
"""Phases of a step: stand-ins and hooks at the places of torch that every program passes.

The entry of torch's autograd engine, the global hooks around every ``Optimizer.step()``,
``torch.save`` and the replay of a CUDA graph; batches tell the rest (``datastall help steps``).
Each by itself: a torch that lacks one of them tells less. ``DATASTALL_STEPS=off`` leaves all of it
out, ``host`` what asks the GPU.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from . import _blocking, _core

KEY = "datastall"  # in torch's tables of hooks, whose own keys are numbers

#: Of the bindings of CUDA for Python, how the names of what begins a capture begin.
BINDINGS = {"cuda.bindings.driver": "cuStreamBegin", "cuda.bindings.runtime": "cudaStreamBegin"}


def is_on() -> bool:
    return os.environ.get("DATASTALL_STEPS") != "off"


def asks_gpu() -> bool:
    return os.environ.get("DATASTALL_STEPS") not in ("host", "off")


def _around_optimizer(optimizer: Any, args: Any, kwargs: Any) -> None:
    """What torch.compile traces where it goes through the hooks of an optimizer: nothing."""


def _stand_in(owner: Any, name: str, kind: Any) -> None:
    original = None if owner is None else vars(owner).get(name)
    if callable(original) and type(original) is not kind:
        setattr(owner, name, kind(original))


def _replace_everywhere(name: str, owners: list[Any], kind: Any) -> None:
    """One stand-in for one function that several modules hold."""
    first = next((owner for owner in owners if owner is not None), None)
    original = getattr(first, name, None)
    if not callable(original) or type(original) is kind:
        return
    stand_in = kind(original)
    for owner in owners:
        if owner is not None and vars(owner).get(name) is original:
            setattr(owner, name, stand_in)


def patch_checkpoints() -> None:
    """While torch is imported: a program's own ``from torch import save`` comes later."""
    if is_on():
        owners = [sys.modules.get(name) for name in ("torch.serialization", "torch")]
        _replace_everywhere("save", owners, _core.TimedCheckpoint)


def _hook_optimizers() -> None:
    optimizer = sys.modules.get("torch.optim.optimizer")
    for table, kind in (
        ("_global_optimizer_pre_hooks", _core.OptimizerBegins),
        ("_global_optimizer_post_hooks", _core.OptimizerEnds),
    ):
        hooks = getattr(optimizer, table, None)
        if isinstance(hooks, dict):
            hooks[KEY] = kind(_around_optimizer)


def _read_memory() -> tuple[int, int, int, int, int] | None:
    """What torch's allocator counts anyway, of the thread's device; no call that synchronises."""
    torch_c = sys.modules["torch._C"]
    stats = torch_c._cuda_memoryStats(torch_c._cuda_getDevice())
    allocated, reserved = (stats[name]["all"] for name in ("allocated_bytes", "reserved_bytes"))
    return (
        *(allocated["current"], allocated["peak"]),
        *(reserved["current"], reserved["peak"]),
        stats["num_alloc_retries"],
    )


def _stand_in_for_captures() -> None:
    """torch imports cuda.bindings since 2.13 and captures nothing by it, so that it is loaded says
    nothing of the program: who begins a capture by it is told instead. Not so where somebody has
    one of these functions by itself (``from cuda.bindings.driver import ...``)."""
    owners = [sys.modules.get(name) for name in BINDINGS]
    if any(owner is None for owner in owners):
        return
    stand_ins = []
    for owner, begins in zip(owners, BINDINGS.values(), strict=True):
        names = [name for name in list(vars(owner)) if name.startswith(begins)]
        for name in names:
            _stand_in(owner, name, _core.BeginsCapture)
        stand_ins.append([vars(owner)[name] for name in names])
    # Counted once they are in place: nobody can take an original since.
    if all(each and all(map(_core.holds_alone, each)) for each in stand_ins):
        _core.trust_cuda_bindings(os.path.dirname(vars(owners[0])["__file__"]))


_patched = False


def patch() -> None:
    """When the first loader is iterated over, or the program marks its steps: torch is complete."""
    global _patched
    if _patched or not is_on() or "torch.autograd" not in sys.modules:
        return
    _patched = True
    if asks_gpu():
        with contextlib.suppress(Exception):  # of another make
            _stand_in_for_captures()  # first: the asking thread looks at what is loaded
        _core.set_line_reader(sys._current_frames, _blocking.read_stack)
        _core.set_memory_reader(_read_memory)
    owners = [sys.modules.get(name) for name in ("torch.autograd.graph", "torch.autograd")]
    _replace_everywhere("_engine_run_backward", owners, _core.TimedBackward)
    _hook_optimizers()
    graphs = sys.modules.get("torch.cuda.graphs")
    _stand_in(getattr(graphs, "CUDAGraph", None), "replay", _core.CountedReplay)
