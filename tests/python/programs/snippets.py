# SPDX-License-Identifier: Apache-2.0
"""Runs snippets one after the other and writes down what each did.

    python snippets.py [--together] RESULTS WORK SNIPPET[::ARGUMENT]...

Importing torch takes seconds, so a snippet runs in a fork of this process, which has it already.
One that begins with a line `# fresh` (and, after a colon, flags of the interpreter) gets an
interpreter of its own. Those named process_* end as the interpreter ends, which takes longer.
With --together they run at the same time, which is for those that sleep. RESULTS becomes a JSON
object: name, or argument -> pid, code, out, err, cpu_s.
"""

import atexit
import gc
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import NoReturn

import numpy  # noqa: F401
import torch.utils.data  # noqa: F401

TIMEOUT_MS = 600_000  # of what takes ten seconds, or hangs


class Snippet:
    """A program, perhaps with an argument that says which part of it."""

    def __init__(self, text: str) -> None:
        path, _, argument = text.partition("::")
        self.path = Path(path)
        self.arguments = [argument] if argument else []
        self.name = argument or self.path.stem

    def flags(self) -> list[str] | None:
        """The interpreter's flags for one that is run by itself, else None."""
        fresh = re.match(r"# fresh(?::(.*))?\n", self.path.read_text())
        return None if fresh is None else (fresh[1] or "").split()


def start_fork(work: Path, streams: list[int]) -> int:
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.chdir(work)
        for number, stream in enumerate([os.open(os.devnull, os.O_RDONLY), *streams]):
            os.dup2(stream, number)
            os.close(stream)
    return child


def start_interpreter(snippet: Snippet, flags: list[str], work: Path, streams: list[int]) -> int:
    argv = [sys.executable, *flags, str(snippet.path), *snippet.arguments]
    out, err = streams
    process = subprocess.Popen(
        argv, cwd=work, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
    )
    process.returncode = 0  # it is waited for here
    return process.pid


def wait_for(child: int) -> tuple[int | None, float]:
    """The exit code (-N: killed by signal N; None: it did not end) and its seconds of CPU time."""
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    in_time = bool(poll.poll(TIMEOUT_MS))
    os.close(ended)
    try:
        os.killpg(child, signal.SIGKILL)  # and whatever it left behind
    except ProcessLookupError:
        pass
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status) if in_time else None
    return code, round(used.ru_utime + used.ru_stime, 2)


def start(snippet: Snippet, work: Path) -> int:
    """The process that runs it; 0 in that process."""
    folder = work / snippet.name
    folder.mkdir()
    files = [work / f"{snippet.name}.{stream}" for stream in ("out", "err")]
    streams = [os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for file in files]
    flags = snippet.flags()
    if flags is None:
        child = start_fork(folder, streams)
    else:
        child = start_interpreter(snippet, flags, folder, streams)
    if child:
        for stream in streams:
            os.close(stream)
    return child


def end(snippet: Snippet, child: int, work: Path) -> dict:
    code, cpu_s = wait_for(child)
    files = [work / f"{snippet.name}.{stream}" for stream in ("out", "err")]
    out, err = (file.read_bytes().decode(errors="backslashreplace") for file in files)
    return {"pid": child, "code": code, "out": out, "err": err, "cpu_s": cpu_s}


def all_of(results: Path, work: Path, snippets: list[Snippet], together: bool) -> Snippet | None:
    """In the child: the snippet to run. In this process: None, when all have ended."""
    started, ended = [], {}
    for snippet in snippets:
        child = start(snippet, work)
        if child == 0:
            return snippet
        started.append((snippet, child))
        if not together:
            ended[snippet.name] = end(snippet, child, work)
    if together:
        ended = {snippet.name: end(snippet, child, work) for snippet, child in started}
    results.write_text(json.dumps(ended))
    return None


def become(snippet: Snippet) -> dict:
    """Makes a snippet the main module; returns the names it begins with."""
    module = types.ModuleType("__main__")
    module.__file__ = str(snippet.path)
    sys.modules["__driver__"] = sys.modules["__main__"]
    sys.modules["__main__"] = module
    sys.argv = [str(snippet.path), *snippet.arguments]
    sys.path[0] = str(snippet.path.parent)
    return module.__dict__


def run(snippet: Snippet) -> None:
    names = become(snippet)
    exec(compile(snippet.path.read_bytes(), str(snippet.path), "exec"), names)


def run_and_leave(snippet: Snippet) -> NoReturn:
    """As a program ends, but for the objects of torch: taking them apart is most of the time."""
    code = 0
    try:
        run(snippet)
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


gc.collect()
gc.freeze()  # the collector of a child leaves alone what all share
together = sys.argv[1] == "--together"
results, work, *texts = sys.argv[1 + together :]
chosen = all_of(Path(results), Path(work), [Snippet(text) for text in texts], together)
if chosen is not None:
    # At the top of the stack, how a program ends is the interpreter's business.
    (run if chosen.name.startswith("process_") else run_and_leave)(chosen)
