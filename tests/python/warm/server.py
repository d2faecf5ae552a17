# SPDX-License-Identifier: Apache-2.0
"""Runs the tests' programs in forks of a process that has PyTorch imported.

    python server.py LISTENER     (a descriptor of a socket) until its standard input ends

Importing PyTorch is 1.7 s of CPU time, a program of a test a tenth of that, and there are some
hundreds. python.c stands in for the interpreter and hands over what a program inherits. A fork
differs from a start in this: `import torch` finds it imported, and torch._dynamo with it, which an
optimizer's first step would import for 1.5 s; the process's parent is this server, and
/proc/PID/cmdline is the server's; what the C library does at its exit is left out.
`torch.utils.data` is imported by each program itself, so that the hooks come in as they always do:
by the .pth file, which is executed here as site does, and at the import. Whatever would need more
than that (other flags, variables that count before main(), limits, namespaces, another owner) is
left to the interpreter. At the end the server says how many were.
"""

import atexit
import builtins
import fcntl
import gc
import io
import os
import re
import resource
import runpy
import select
import signal
import site
import socket
import struct
import sys
import threading
import types
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import NoReturn

import numpy
import torch._dynamo

#: Variables that an interpreter or a library reads as it is loaded; PYTHONPATH is seen to here.
EARLY = ("LD_", "PYTHON", "LC_", "LANG", "MALLOC_", "GLIBC_", "OMP_", "MKL_", "KMP_", "TORCH")
SITE = Path(numpy.__file__).parents[1]
LATE = ("TORCHELASTIC_", "TORCH_NCCL_")  # of these, which torchrun sets, none counts at an import
HANDLED = ("PYTHONPATH", "PYTHON_EXEC", "LD_LIBRARY_PATH")  # are seen to, or are not its own
HIGH = 500  # above what any program has


@dataclass
class Start:
    """What a program would have been started with."""

    folder: str
    mask: int
    surroundings: list[str]  # namespaces, limits, signals, owner
    fds: list[int]
    argv: list[str]
    variables: dict[str, str]


def surroundings() -> list[str]:
    """Of this process, in the words of python.c."""
    kinds = ("pid", "mnt", "net", "user", "uts", "ipc", "cgroup")
    spaces = "".join(f"{os.readlink(f'/proc/self/ns/{kind}')} " for kind in kinds)
    limits = "".join(
        ":".join(str(one % 2**64) for one in resource.getrlimit(which)) + " " for which in range(16)
    )
    kept = ("SigBlk", "SigIgn", "Uid", "Gid", "NoNewPrivs", "Seccomp:", "Cpus_allowed:")
    lines = Path("/proc/self/status").read_text().splitlines(keepends=True)
    status = "".join(line for line in lines if line.startswith(kept))
    # What the interpreter ignores of itself, it has not inherited.
    status = re.sub(r"(SigIgn:\s)[0-9a-f]*", r"\g<1>" + "0" * 16, status)
    return [spaces, limits, f"{status}nice {os.getpriority(os.PRIO_PROCESS, 0)}"]


def early(variables: dict[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in variables.items()
        if name.startswith(EARLY) and not name.startswith(LATE) and name not in HANDLED
    }


def read_all(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def receive(connection: socket.socket) -> tuple[Start, list[int]]:
    """The start, and its descriptors as they are numbered here."""
    head, fds, _, _ = socket.recv_fds(connection, 4, 256)
    if len(head) < 4:
        raise EOFError
    words = read_all(connection, struct.unpack("=I", head)[0]).decode(errors="surrogateescape")
    folder, mask, spaces, limits, status, numbers, *rest = words.split("\0")[:-1]
    end = rest.index("")
    variables = dict(word.split("=", 1) for word in rest[end + 1 :] if "=" in word)
    asked = [spaces, limits, status]
    numbered = [int(number) for number in numbers.split()]
    return Start(folder, int(mask, 8), asked, numbered, rest[:end], variables), list(fds)


def brings_cuda(start: Start) -> bool:
    """A library that is looked for in LD_LIBRARY_PATH as it was when the process began. Another
    process has that of NVML."""
    places = start.variables.get("LD_LIBRARY_PATH", "").split(":")
    return any((Path(place) / "libcuda.so.1").exists() for place in places if place)


def without_inner(status: str) -> str:
    """Without signals 32 and 33, which are the C library's: what make starts has one ignored."""
    ignored = re.search(r"SigIgn:\s([0-9a-f]{16})", status)
    if ignored is None:
        return status
    kept = int(ignored[1], 16) & ~(3 << 31)
    return f"{status[: ignored.start(1)]}{kept:016x}{status[ignored.end(1) :]}"


def replaces_torch(start: Start) -> bool:
    """By one of the program's own, which an interpreter finds before that which is here."""
    places = [start.folder, *start.variables.get("PYTHONPATH", "").split(":")]
    return any(
        Path(start.folder, place, name).exists()
        for place in places
        for name in ("torch", "torch.py", "numpy", "numpy.py")
    )


def words_of(start: Start) -> list[str]:
    """The interpreter's arguments without -u, with which torchrun starts its ranks."""
    return start.argv[1:] if start.argv[0] == "-u" and len(start.argv) > 1 else start.argv


def is_taken(start: Start) -> bool:
    if replaces_torch(start):
        return False
    if brings_cuda(start) or early(start.variables) != early(OWN):
        return False
    if [without_inner(text) for text in start.surroundings] != SURROUNDINGS:
        return False
    if not start.argv or not start.folder:
        return False
    if max(start.fds, default=HIGH) >= HIGH:
        return False
    first, *rest = words_of(start)
    if first in ("-c", "-m"):
        return bool(rest)
    return not first.startswith("-") and (Path(start.folder) / first).is_file()


def take_descriptors(numbers: list[int], here: list[int]) -> None:
    """Moves them to where the program has them, and closes everything else."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, HIGH) for fd in here]
    os.closerange(0, HIGH)
    for fd, number in zip(high, numbers, strict=True):
        os.dup2(fd, number, inheritable=True)
    os.closerange(HIGH, max(high) + 1)


def open_streams(unbuffered: bool) -> None:
    """As the interpreter does, to what the program has there."""
    for name, fd, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        old, stream = getattr(sys, f"__{name}__"), None
        try:
            raw = io.FileIO(fd, mode, closefd=False)
        except OSError:
            pass
        else:
            raw.name = f"<{name}>"
            stream = io.TextIOWrapper(
                io.BufferedReader(raw)
                if mode == "r"
                else raw
                if unbuffered
                else io.BufferedWriter(raw),
                encoding=old.encoding,
                errors=old.errors,
                line_buffering=name == "stderr" or raw.isatty(),
                write_through=unbuffered and mode == "w",
            )
            stream.mode = mode
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def enter_site(start: Start) -> None:
    """What site does at the start of an interpreter, and then where programs are looked for."""
    given = [entry for entry in start.variables.get("PYTHONPATH", "").split(":") if entry]
    sys.path[:] = [*given, *sys.path[1:]]
    site.addpackage(str(SITE), "datastall.pth", None)
    site.execsitecustomize()
    first = start.argv[0]
    sys.orig_argv[:] = [sys.executable, *start.argv]
    if first == "-c":
        sys.argv[:] = ["-c", *start.argv[2:]]
        sys.path.insert(0, "")
    elif first == "-m":
        sys.argv[:] = ["-m", *start.argv[2:]]
        sys.path.insert(0, start.folder)
    else:
        sys.argv[:] = start.argv
        sys.path.insert(0, str(Path(start.folder, first).resolve().parent))


def become(start: Start, here: list[int]) -> None:
    """In the fork: everything but to run it."""
    os.setpgid(0, 0)
    take_descriptors(start.fds, here)
    os.chdir(start.folder)
    os.umask(start.mask)
    os.environ.clear()
    os.environ.update(start.variables)
    numpy.random.seed()
    open_streams(start.argv[0] == "-u")
    start.argv = words_of(start)
    enter_site(start)


def execute(start: Start) -> None:
    module = types.ModuleType("__main__")
    module.__builtins__, module.__annotations__ = builtins, {}
    sys.modules["__main__"] = module
    first = start.argv[0]
    if first == "-c":
        exec(compile(start.argv[1], "<string>", "exec", dont_inherit=True), module.__dict__)
    elif first == "-m":
        runpy._run_module_as_main(start.argv[1])
    else:
        path = os.path.join(start.folder, first)
        module.__file__, module.__cached__ = path, None
        module.__loader__ = SourceFileLoader("__main__", path)
        code = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
        exec(code, module.__dict__)


def exit_code_of(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def show(error: BaseException) -> None:
    """The traceback from the program's own first line."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    sys.excepthook(type(error), error.with_traceback(frames), frames)


def run(start: Start) -> NoReturn:
    """As a program ends, but for the objects of PyTorch: taking them apart takes ten times as long
    as all the rest, for they are shared with the server until then."""
    code = 0
    try:
        execute(start)
    except SystemExit as end:
        code = exit_code_of(end)
    except BaseException as error:
        show(error)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            code = code or 120
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code & 0xFF)


class Server:
    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.taken = self.left = 0
        self.programs: dict[int, tuple[int, socket.socket]] = {}  # by pidfd
        self.poll = select.poll()
        for fd in (listener.fileno(), 0):
            self.poll.register(fd, select.POLLIN)

    def serve(self) -> tuple[Start, list[int]] | None:
        """In a fork: what it is to run. None: nobody needs the server any more."""
        while True:
            for fd, _ in self.poll.poll():
                if fd == 0:
                    return None
                if fd == self.listener.fileno():
                    taken = self.accept()
                    if taken is not None:
                        return taken
                elif fd in self.programs:
                    self.end(fd)
                else:
                    self.abandoned(fd)

    def accept(self) -> tuple[Start, list[int]] | None:
        connection, _ = self.listener.accept()
        here: list[int] = []
        try:
            start, here = receive(connection)
            if is_taken(start):
                self.taken += 1
                child = os.fork()
                if child == 0:
                    self.let_go(connection)
                    return start, here
                self.begin(child, connection)
                return None
            self.left += 1
            connection.sendall(struct.pack("=i", 0))
        except (EOFError, OSError, ValueError):
            pass
        finally:
            if os.getpid() == SERVER:
                for fd in here:
                    os.close(fd)
        connection.close()
        return None

    def let_go(self, connection: socket.socket) -> None:
        """No object of a fork may close a number that the program uses."""
        for one in (self.listener, connection, *(told for _, told in self.programs.values())):
            one.detach()

    def begin(self, child: int, connection: socket.socket) -> None:
        ended = os.pidfd_open(child)
        self.programs[ended] = child, connection
        self.poll.register(ended, select.POLLIN)
        self.poll.register(connection.fileno(), select.POLLIN)
        connection.sendall(struct.pack("=i", child))

    def end(self, fd: int) -> None:
        child, connection = self.programs.pop(fd)
        _, status = os.waitpid(child, 0)
        try:
            connection.sendall(struct.pack("=i", status))
        except OSError:
            pass
        self.poll.unregister(fd)
        os.close(fd)
        try:
            self.poll.unregister(connection.fileno())
        except KeyError:
            pass
        connection.close()

    def abandoned(self, fd: int) -> None:
        """What stands for the program was killed."""
        self.poll.unregister(fd)
        for child, connection in self.programs.values():
            if connection.fileno() == fd:
                os.killpg(child, signal.SIGKILL)


def forget_data() -> None:
    """Each program imports it for itself: that is where the hooks come in."""
    for name in [name for name in sys.modules if f"{name}.".startswith("torch.utils.data.")]:
        del sys.modules[name]
    del torch.utils.data


#: As it was started: an import may add to os.environ.
OWN = dict(
    word.split("=", 1) for word in Path("/proc/self/environ").read_text().split("\0") if "=" in word
)
SERVER, SURROUNDINGS = os.getpid(), surroundings()
forget_data()
gc.collect()
gc.freeze()  # the collector of a fork leaves alone what all share
server = Server(socket.socket(fileno=int(sys.argv[1])))
taken = server.serve()
if taken is not None:
    become(*taken)
    run(taken[0])
print(f"{server.taken} programs in forks, {server.left} by an interpreter of their own")
