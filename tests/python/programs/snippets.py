# SPDX-License-Identifier: Apache-2.0
"""Runs snippets one after the other and writes down what each did.

    python snippets.py RESULTS WORK SNIPPET...

Importing torch takes seconds, so a snippet runs in a fork of this process, which has it already.
One that begins with a line `# fresh` (and, after a colon, flags of the interpreter) gets an
interpreter of its own. Those named process_* end as the interpreter ends, which takes longer.
RESULTS becomes a JSON object: name -> code, out, err, cpu_s.
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

TIMEOUT_MS = 600_000


def start_fork(work: Path, streams: list[int]) -> int:
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.chdir(work)
        for number, stream in enumerate([os.open(os.devnull, os.O_RDONLY), *streams]):
            os.dup2(stream, number)
            os.close(stream)
    return child


def start_interpreter(snippet: Path, flags: list[str], work: Path, streams: list[int]) -> int:
    argv = [sys.executable, *flags, str(snippet)]
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


def flags_of(snippet: Path) -> list[str] | None:
    """The interpreter's flags for one that is run by itself, else None."""
    fresh = re.match(r"# fresh(?::(.*))?\n", snippet.read_text())
    return None if fresh is None else (fresh[1] or "").split()


def all_of(results: Path, work: Path, snippets: list[Path]) -> Path | None:
    """In the child: the snippet to run. In this process: None, when all have ended."""
    ended = {}
    for snippet in snippets:
        folder = work / snippet.stem
        folder.mkdir()
        files = [work / f"{snippet.stem}.{stream}" for stream in ("out", "err")]
        streams = [os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for file in files]
        flags = flags_of(snippet)
        if flags is not None:
            child = start_interpreter(snippet, flags, folder, streams)
        else:
            child = start_fork(folder, streams)
            if child == 0:
                return snippet
        for stream in streams:
            os.close(stream)
        code, cpu_s = wait_for(child)
        out, err = (file.read_bytes().decode(errors="backslashreplace") for file in files)
        ended[snippet.stem] = {"code": code, "out": out, "err": err, "cpu_s": cpu_s}
    results.write_text(json.dumps(ended))
    return None


def become(snippet: Path) -> dict:
    """Makes a snippet the main module; returns the names it begins with."""
    module = types.ModuleType("__main__")
    module.__file__ = str(snippet)
    sys.modules["__driver__"] = sys.modules["__main__"]
    sys.modules["__main__"] = module
    sys.argv = [str(snippet)]
    sys.path[0] = str(snippet.parent)
    return module.__dict__


def run(snippet: Path) -> None:
    names = become(snippet)
    exec(compile(snippet.read_bytes(), str(snippet), "exec"), names)


def run_and_leave(snippet: Path) -> NoReturn:
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
chosen = all_of(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
if chosen is not None:
    # At the top of the stack, how a program ends is the interpreter's business.
    (run if chosen.name.startswith("process_") else run_and_leave)(chosen)
