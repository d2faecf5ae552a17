# SPDX-License-Identifier: Apache-2.0
"""Which call of a stack waits for the GPU, or which line of the program works without torch: told
from the instruction that each frame is at, and from whose code it is.

Called with code objects and numbers alone, in a thread of datastall's; nothing of the program runs.
"""

from __future__ import annotations

import dis
import itertools
from types import CodeType

from . import _sites

Place = tuple[CodeType, int, int]  # a frame's code, line and place in the code

#: What makes the host wait for the GPU, by the name that it is called by.
BLOCKING = frozenset(
    {
        *("item", "tolist", "cpu", "numpy", "to", "cuda", "copy_", "type", "float", "int", "bool"),
        *("synchronize", "_cuda_synchronize", "wait", "nonzero", "masked_select", "unique"),
        *("equal", "allclose", "is_nonzero", "print", "str", "repr", "format"),
    }
)
#: Of these, such as nothing but a tensor has.
OF_TENSORS = frozenset({"item", "tolist", "cpu", "numpy", "to", "cuda", "copy_", "synchronize"})
#: The same by an instruction: `if loss > 3`, `f"{loss}"`.
ASKING = ("POP_JUMP", "TO_BOOL", "UNARY_NOT", "JUMP_IF", "FORMAT_")
NAMES = ("LOAD_METHOD", "LOAD_ATTR", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_DEREF")

#: torch's optimizers keep their counts of steps on the CPU, and ask each parameter's.
OF_THE_CPU = "/torch/optim/"
OF_MODULES = "/torch/nn/modules/module.py"

#: Of each code that was looked into, what is called where. Taking one apart takes a microsecond an
#: instruction, with the interpreter's lock: once a code, and not where nothing is called.
_known: dict[int, tuple[CodeType, dict[int, str]]] = {}  # by id(): comparing code takes long
MOST_KNOWN = 256
CACHE = 0  # the opcode of what lies behind some instructions


def _callee_by_stack(before: list[dis.Instruction]) -> str:
    """In Python 3.10: what was pushed before as much as the call takes."""
    call = before[-1]
    extra = {"CALL_METHOD": 0, "CALL_FUNCTION": 0, "CALL_FUNCTION_KW": 1}.get(call.opname)
    if extra is None or call.arg is None:
        return ""
    missing = call.arg + extra
    for instruction in itertools.islice(reversed(before), 1, None):
        if missing == 0:
            name = instruction.argval if instruction.opname.startswith(NAMES) else ""
            return name if isinstance(name, str) else ""
        missing -= dis.stack_effect(instruction.opcode, instruction.arg)
    return ""


def _calls_of(code: CodeType) -> dict[int, str]:
    """The name of what is called, by the place of each call; "": by no name."""
    calls: dict[int, str] = {}
    # A name that is called begins where its call does; its arguments come later.
    begun: dict[tuple[int | None, int | None], str] = {}
    before: list[dis.Instruction] = []
    for instruction in dis.get_instructions(code):
        at = getattr(instruction, "positions", None)
        before.append(instruction)
        if instruction.opname.startswith(("CALL", "PRECALL")):
            calls[instruction.offset] = (
                _callee_by_stack(before)
                if at is None
                else begun.get((at.lineno, at.col_offset), "")
            )
        elif (
            at is not None
            and isinstance(instruction.argval, str)
            and instruction.opname.startswith(NAMES)
        ):
            begun[at.lineno, at.col_offset] = instruction.argval
    return calls


def called_at(code: CodeType, place: int) -> str:
    """What a frame that is at this place of its code is calling; "": not known, or nothing."""
    instructions = code.co_code
    while 0 < place < len(instructions) and instructions[place] == CACHE:
        place -= 2
    if not 0 <= place < len(instructions):
        return ""
    name = dis.opname[instructions[place]]
    if name.startswith(ASKING):
        return "bool" if name.startswith(ASKING[:4]) else "format"
    if not name.startswith(("CALL", "PRECALL")):
        return ""
    known = _known.get(id(code))
    if known is None:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        known = _known[id(code)] = (code, _calls_of(code))
    return known[1].get(place, "")


def _where(stack: list[Place]) -> str | None:
    """The innermost line that is neither torch's nor Python's own."""
    for code, line, _ in stack:
        file = _sites._file_of(code)
        if file.owner in (_sites.USERS, _sites.PACKAGES) and line is not None:
            return f"{file.short}:{line}"
    return None


def _own_line(stack: list[Place]) -> str | None:
    """The line of the program that works by itself, in code of its own or of a library that is not
    about tensors. What runs in a module's call, in torch, or below a function of a library that
    names torch (a framework) launches kernels, and is not the program's to change at its line."""
    if any(str.endswith(code.co_filename, OF_MODULES) for code, _, _ in stack):
        return None
    for code, line, _ in stack:
        file = _sites._file_of(code)
        if file.owner == _sites.USERS and line and not file.is_generated:
            return f"{file.short}:{line}"
        if file.owner == _sites.TORCHS or "torch" in code.co_names:
            return None
    return None


def read_stack(stack: list[Place], at_once: bool) -> tuple[str | None, str] | None:
    """Of a stack, innermost first: (what, where) of the call that its innermost frame waits in;
    (None, where) of a line that works by itself; else None. Not `at_once`: the thread ran until it
    was asked for the interpreter's lock, so it does not wait; a tensor's method that it called last
    may have held that lock, and is nobody's work."""
    what = called_at(stack[0][0], stack[0][2])
    # By str's own methods: a name may be of somebody's own kind.
    of_the_cpu = str.find(stack[0][0].co_filename, OF_THE_CPU) >= 0
    if what in BLOCKING and at_once and not of_the_cpu:
        where = _where(stack)
        return None if where is None else (what.removeprefix("_cuda_"), where)
    where = None if what in OF_TENSORS else _own_line(stack)
    return None if where is None else (None, where)
