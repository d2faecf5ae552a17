# SPDX-License-Identifier: Apache-2.0
"""Which cache lines and pages one next() touches: what it costs after a step that used the caches.

Runs a loop over ready batches bare, with a hand-made recorder and with datastall.watch(), or one
over a DataLoader bare and with waits and phases recorded, steps through some next()s one
instruction at a time and takes the addresses of what each reads, writes and is. What bare has is
taken off. "Ours" is of the code in datastall's own library. An instruction takes 10 to 40 us so; of
each loop the next() with the fewest counts, since what is done now and then by time is done in
others. A DataLoader's wait would be long so, which is recorded in another way: its clock is slowed
down (slow_clock.c). Where the machine is busy no wait is short, and all of that is counted.

    pip install capstone
    python bench/next_lines.py [images | dict]
    python bench/next_lines.py loader build-bench/bench/libslow_clock.so [WORKERS]

x86-64 alone; a minute or two, with workers some minutes. Counts of lines vary by some from run to
run: memory lies where it came to lie.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

TRACE_ME, GETREGS, SINGLE_STEP, CONTINUE, SET_OPTIONS = 0, 12, 9, 7, 0x4200
EXIT_KILL = 0x100000
#: As PTRACE_GETREGS has them.
REGISTERS = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx"),
    *("rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base"),
    *("ds", "es", "fs", "gs"),
)
SEGMENTS = 8
#: As cold_cost.py has them.
LOOPS = ("bare", "by hand", "watch()")
KINDS = {"images": "(images, labels)", "dict": "dict, mask 32x128"}
LOADER = "loader"
LOADER_LOOPS = ("bare", "waits and phases")
LOADER_SEGMENTS = 3  # with workers a next() is half a million instructions


def loop(name: str, kind: str) -> None:
    """The program: announces each next() that is to be looked at, and its end, by a signal."""
    from cold_cost import loops_over, ready_batches

    step = loops_over(ready_batches()[KINDS[kind]])[name]
    until = time.monotonic() + 3
    while time.monotonic() < until:  # what is looked at often at first is not, later
        step()
        time.sleep(0.02)
    own = os.getpid()
    for _ in range(SEGMENTS):
        step()  # what was due is done
        os.kill(own, signal.SIGUSR2)
        step()
        os.kill(own, signal.SIGUSR2)
    os._exit(0)


def loop_over_loader(name: str, clock: str, workers: str) -> None:
    """The same with a DataLoader and a small step: waits are short, and one is like the next."""
    os.environ["STEP_DEVICE"] = "cpu"
    import datastall
    import torch
    from datastall import _core, _hooks
    from gpu_phases_cost import Ready, untouched
    from torch.utils.data import DataLoader

    torch.set_num_threads(1)
    set_slow = ctypes.CDLL(clock).set_slow
    with tempfile.TemporaryDirectory() as folder:
        datastall.install(folder)
        batches = iter(DataLoader(Ready(), batch_size=None, num_workers=int(workers)))
        if name == "bare":
            batches = untouched(batches)
        else:
            _core.follow_steps(_hooks.monitor(), True)
        model = torch.nn.Linear(64, 8)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)

        def rest(batch: torch.Tensor) -> None:
            model(batch).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

        own = os.getpid()
        for _ in range(LOADER_SEGMENTS):
            for _ in range(200):  # short ones in a row, and what is due by time is done
                rest(next(batches))
                time.sleep(0.001)
            set_slow(1)
            os.kill(own, signal.SIGUSR2)
            batch = next(batches)
            os.kill(own, signal.SIGUSR2)
            set_slow(0)
            rest(batch)
        del batches
    os._exit(0)


class Decoder:
    """What an instruction of a process reads and writes, by where it lies."""

    def __init__(self, process: int) -> None:
        import capstone

        self.engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self.engine.detail = True
        self.memory_operand = capstone.CS_OP_MEM
        self.memory = os.open(f"/proc/{process}/mem", os.O_RDONLY)
        self.known: dict[int, tuple[str, int, list[tuple[str, str, int, int, bool]]]] = {}

    def operands(self, at: int) -> tuple[str, int, list[tuple[str, str, int, int, bool]]]:
        """(name, bytes, [(base, index, scale, displacement, thread's)])."""
        known = self.known.get(at)
        if known is None:
            known = self.known[at] = self._decode(at)
        return known

    def _decode(self, at: int) -> tuple[str, int, list[tuple[str, str, int, int, bool]]]:
        try:
            instruction = next(self.engine.disasm(os.pread(self.memory, 15, at), at, 1))
        except (OSError, StopIteration):  # the kernel's page with the clock, mostly
            return "", 0, []
        name, found = instruction.mnemonic, []
        for operand in instruction.operands:
            if operand.type == self.memory_operand and name not in ("lea", "nop"):
                of = operand.mem
                register = [instruction.reg_name(r) or "" for r in (of.base, of.index, of.segment)]
                found.append((register[0], register[1], of.scale, of.disp, register[2] == "fs"))
        if name in ("push", "call"):
            found.append(("rsp", "", 1, -8, False))
        elif name in ("pop", "ret"):
            found.append(("rsp", "", 1, 0, False))
        return name, instruction.size, found


class Touched:
    """What one next() touched."""

    def __init__(self, ours: range = range(0)) -> None:
        self.ours = ours
        self.instructions = self.instructions_ours = self.calls = 0
        self.code: set[int] = set()
        self.data: set[int] = set()

    def add(self, decoder: Decoder, value: dict[str, int]) -> None:
        at = value["rip"]
        name, size, operands = decoder.operands(at)
        self.instructions += 1
        self.instructions_ours += at in self.ours
        self.calls += name == "syscall"
        self.code.add(at >> 6)
        for base, index, scale, displacement, of_thread in operands:
            address = displacement + value.get(index, 0) * scale
            address += value.get(base, 0) + (size if base == "rip" else 0)
            address += value["fs_base"] if of_thread else 0
            self.data.add((address & (1 << 64) - 1) >> 6)

    def code_ours(self) -> int:
        return sum(line << 6 in self.ours for line in self.code)

    def pages(self) -> int:
        return len({line >> 6 for line in self.code | self.data})


def where_ours_is(process: int) -> range:
    """The addresses of datastall's code; none before it is loaded."""
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        if "x" in line.split()[1] and "/datastall/_core" in line:
            begin, end = (int(each, 16) for each in line.split()[0].split("-"))
            return range(begin, end)
    return range(0)


def looked_at(name: str, kind: str, *arguments: str) -> list[Touched]:
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    ptrace.restype = ctypes.c_long
    process = os.fork()
    if process == 0:
        ptrace(TRACE_ME, 0, None, None)
        if kind == LOADER:
            os.environ["LD_PRELOAD"] = arguments[0]
        command = [sys.executable, __file__, "--loop", name, kind, *arguments]
        os.execv(sys.executable, command)
    os.waitpid(process, 0)
    ptrace(SET_OPTIONS, process, None, EXIT_KILL)
    decoder, inside = Decoder(process), False
    found: list[Touched] = []
    registers = ctypes.create_string_buffer(8 * len(REGISTERS))
    ptrace(CONTINUE, process, None, None)
    while True:
        _, status = os.waitpid(process, 0)
        if not os.WIFSTOPPED(status):
            return found
        stopped_by = os.WSTOPSIG(status)
        if stopped_by == signal.SIGUSR2:
            inside = not inside
            if inside:
                found.append(Touched(where_ours_is(process)))
        elif stopped_by != signal.SIGTRAP:
            ptrace(CONTINUE, process, None, stopped_by)
            continue
        if inside:
            ptrace(GETREGS, process, None, ctypes.addressof(registers))
            values = struct.unpack(f"<{len(REGISTERS)}Q", registers.raw)
            found[-1].add(decoder, dict(zip(REGISTERS, values, strict=True)))
        ptrace(SINGLE_STEP if inside else CONTINUE, process, None, None)


def main() -> None:
    kind, arguments = sys.argv[1] if len(sys.argv) > 1 else "images", sys.argv[2:]
    if kind not in (*KINDS, LOADER):
        sys.exit(f"{kind}: one of {', '.join([*KINDS, LOADER])}")
    if kind == LOADER:
        if not (arguments and Path(arguments[0]).is_file()):
            sys.exit(f"{LOADER}: where is libslow_clock.so? (ninja -C build-bench makes it)")
        arguments = [str(Path(arguments[0]).resolve()), *(arguments[1:] or ["0"])]
    names = LOADER_LOOPS if kind == LOADER else LOOPS
    rows = {
        name: min(looked_at(name, kind, *arguments), key=lambda one: one.instructions)
        for name in names
    }
    heads = ("instructions", "ours", "calls", "code", "ours", "data", "pages")
    print(f"{kind:<16}", " ".join(f"{head:>12}" for head in heads))
    for name, one in rows.items():
        less = Touched() if name == "bare" else rows["bare"]
        counts = (
            one.instructions - less.instructions,
            one.instructions_ours - less.instructions_ours,
            one.calls - less.calls,
            len(one.code) - len(less.code),
            one.code_ours() - less.code_ours(),
            len(one.data) - len(less.data),
            one.pages() - less.pages(),
        )
        print(f"{name:<16}", " ".join(f"{count:12}" for count in counts))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if sys.argv[1:2] == ["--loop"]:
        of_loader = sys.argv[3] == LOADER
        (loop_over_loader if of_loader else loop)(sys.argv[2], *sys.argv[4 if of_loader else 3 :])
    main()
