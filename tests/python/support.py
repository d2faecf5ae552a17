# SPDX-License-Identifier: Apache-2.0
"""Starts programs as a user would and reads what datastall says about them."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

PYTHON = sys.executable
DATASTALL = str(Path(sys.executable).parent / "datastall")
PROGRAMS = Path(__file__).parent / "programs"
#: What stands for PYTHON in a command (conftest.py decides for each test); empty: nothing does.
WARM_PYTHON = ""
#: For what ought to end at once; a machine may be slow and busy with others.
TIMEOUT_S = 300

#: Variables that change what the programs under test do; a test sets those that it means.
CLEARED = (
    *("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHASHSEED", "LD_PRELOAD", "LD_LIBRARY_PATH"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"),
)


@dataclass
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """The lines with which datastall spoke up."""
        return [line for line in self.err.splitlines() if line.startswith("datastall: ")]

    def printed(self) -> Any:
        """What the program printed last, as JSON."""
        return json.loads(self.out.splitlines()[-1])


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the tests without what would leak into a program under test."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in CLEARED and not name.startswith(("DATASTALL_", "PYTEST_", "FAKE_"))
    }
    # One thread each: several programs share few cores. The other: lighter_torch.py.
    lighter = {"OMP_NUM_THREADS": "1", "LIGHTER_TORCH": os.environ.get("LIGHTER_TORCH", "1")}
    # What torchrun starts its ranks with.
    ranks = {"PYTHON_EXEC": WARM_PYTHON} if WARM_PYTHON else {}
    return {**kept, **lighter, **ranks, **(extra or {})}


class WarmStarts:
    """Runs programs in forks of a process that has PyTorch: warm/server.py says how."""

    def __init__(self, folder: Path) -> None:
        """Starts the server, which outlives no process that has this."""
        built, path = folder / "python3", folder / "socket"
        source = Path(__file__).parent / "warm"
        options = ["-O1", "-std=gnu11", "-D_GNU_SOURCE"]
        subprocess.run(["cc", *options, str(source / "python.c"), "-o", str(built)], check=True)
        self.variables = {
            "WARM_TORCH": str(path),
            "WARM_STUB": str(built),
            "WARM_PYTHON": PYTHON,
        }
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(128)
        self.server = subprocess.Popen(
            [PYTHON, str(source / "server.py"), str(self.socket.fileno())],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[self.socket.fileno()],
            start_new_session=True,
        )

    def stop(self) -> str:
        """Returns how many programs ran in forks and how many did not, in words."""
        said, _ = self.server.communicate()
        self.socket.close()
        return said.strip()


def warm_python() -> str:
    """What stands for the interpreter, where something does; else PYTHON."""
    return WARM_PYTHON or PYTHON


def warmly(argv: Sequence[str]) -> list[str]:
    return [warm_python() if word == PYTHON else word for word in argv]


def start(
    argv: Sequence[str], folder: Path, extra: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        warmly(argv),
        cwd=folder,
        env=environment(extra),
        text=True,
        stdin=options.pop("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **options,
    )


def finish(process: subprocess.Popen[str], text: str | None = None) -> Ended:
    try:
        out, err = process.communicate(text, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with its children, which hold the pipes
        out, err = process.communicate()
        raise AssertionError(f"it did not end\n{out}\n{err}") from None
    return Ended(process.returncode, out, err)


def command(
    argv: Sequence[str], folder: Path, extra: Mapping[str, str] | None = None, **options: Any
) -> Ended:
    """Runs a command in a folder to its end."""
    return finish(start(argv, folder, extra, **options))


def completed(
    argv: Sequence[str], folder: Path, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The same for who wants to say `python` and `datastall` as a user does."""
    names = {"python": PYTHON, "datastall": DATASTALL}
    ended = command([names.get(word, word) for word in argv], folder, extra)
    return subprocess.CompletedProcess(list(argv), ended.code, ended.out, ended.err)


def datastall(*arguments: str, folder: Path, extra: Mapping[str, str] | None = None) -> Ended:
    return command([DATASTALL, *arguments], folder, extra)


def held_back_s(folder: Path) -> float:
    """For how long a CPU quota (of a container, say) held the programs back that ran there."""
    held = 0.0
    for run in {file.parent for file in folder.rglob("*.dsrun")}:
        ended = datastall("show", "--json", str(run), folder=folder)
        loaders = json.loads(ended.out)["loaders"] if ended.code == 0 else []
        held += max((one["why"]["host"]["throttled_s"] or 0.0 for one in loaders), default=0.0)
    return held


Test = TypeVar("Test", bound=Callable[..., None])


def on_a_busy_machine(test: Test) -> Test:
    """What a program waits for is known beforehand, unless others have the machine meanwhile. What
    fails is measured once more, in a folder of its own; that it failed first is among pytest's
    warnings. Where a CPU quota stops all threads of the program for most of the time, what fails
    is skipped, with what failed."""

    def tried(**fixtures: Any) -> None:
        try:
            test(**fixtures)
        except AssertionError as failed:
            folders = [one for one in fixtures.values() if isinstance(one, Path)]
            held_s = sum(held_back_s(folder) for folder in folders)
            said = str(failed).partition("\n")[0][:200]
            if held_s >= 0.2:
                pytest.skip(f"a CPU quota held the program back for {held_s:.1f} s: {said}")
            raise

    @functools.wraps(test)
    def measured(**fixtures: Any) -> None:
        folder = fixtures.get("tmp_path")
        try:
            tried(**fixtures)
        except AssertionError as failed:
            if folder is None:  # it was measured for several tests
                raise
            warnings.warn(f"measured once more: {failed}", stacklevel=1)
            again = folder / "again"
            again.mkdir()
            tried(**{**fixtures, "tmp_path": again})

    return measured  # type: ignore[return-value]


#: The beginning of a program: as fastai hands its own to torch's iterator. What the class lacks is
#: for the program to add.
FOREIGN_LOADER = """
    import torch
    from torch.utils.data.dataloader import _DatasetKind, _SingleProcessDataLoaderIter

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(range(5))

    class Foreign:
        _IterableDataset_len_called, _auto_collation, drop_last = None, False, False
        _dataset_kind, num_workers, pin_memory = _DatasetKind.Iterable, 0, False
        timeout, prefetch_factor, _index_sampler = 0, 2, range(5)
        generator = multiprocessing_context = worker_init_fn = None
        persistent_workers, pin_memory_device, in_order = False, "", True
        collate_fn = staticmethod(lambda item: item)
        dataset = Stream()
"""


def write(folder: Path, name: str, source: str) -> Path:
    """Writes a program (indented as the test is) into a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path


def free_threaded(folder: Path) -> list[str]:
    """Interpreters without the GIL: one that says that it is one, and those that are here."""
    inside = write(
        folder,
        "free.py",
        """
        import site, sys
        sys.abiflags += "t"
        site.main()
        del sys.argv[0]
        if sys.argv[0] == "-c":
            del sys.argv[0]
            exec(sys.argv[0])
        else:
            exec(open(sys.argv[0]).read())
        """,
    )
    says = write(folder, "python-free", f'#!/bin/sh\nexec {PYTHON} -S {inside} "$@"\n')
    says.chmod(0o755)
    found = (shutil.which(f"python3.{minor}t") for minor in range(13, 20))
    return [str(says), *filter(None, found)]


def without_torch(folder: Path) -> dict[str, str]:
    """Variables with which no torch is found: `doctor` looks for it, which takes seconds."""
    write(folder, "no-torch/torch.py", "raise ImportError('no torch here')\n")
    return {"PYTHONPATH": str(folder / "no-torch")}


def bring(folder: Path, *names: str) -> None:
    """Copies programs of the tests into a folder."""
    for name in names:
        shutil.copy(PROGRAMS / name, folder / name)


def recorded(
    folder: Path,
    *arguments: str,
    options: Sequence[str] = (),
    extra: Mapping[str, str] | None = None,
) -> Ended:
    """Runs `python ARGUMENTS` under datastall; it must end well."""
    ended = datastall("run", *options, PYTHON, *arguments, folder=folder, extra=extra)
    assert ended.code == 0, ended.err
    return ended


def shown(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """`datastall show --json`."""
    ended = datastall("show", "--json", *arguments, folder=folder)
    assert ended.code == code, ended.err
    return json.loads(ended.out)


def shown_text(folder: Path, *arguments: str, code: int = 0) -> str:
    # As wide as it takes: no sentence is broken.
    ended = datastall("show", "-v", *arguments, folder=folder, extra={"COLUMNS": "500"})
    assert ended.code == code, ended.err
    return ended.out


def run_folders(folder: Path) -> list[Path]:
    """The run folders below FOLDER/datastall-runs, oldest first."""
    base = folder / "datastall-runs"
    return sorted(base.iterdir(), key=lambda run: run.stat().st_ctime) if base.is_dir() else []


def line_of(program: Path, marker: str) -> str:
    """The site that datastall gives the line that ends in `# marker`."""
    for number, line in enumerate(program.read_text().splitlines(), 1):
        if line.endswith(f"# {marker}"):
            return f"{program.name}:{number}"
    raise AssertionError(f"{program} has no line '# {marker}'")


def lines_of(program: Path, marker: str) -> set[str]:
    return {
        f"{program.name}:{number}"
        for number, line in enumerate(program.read_text().splitlines(), 1)
        if line.endswith(f"# {marker}")
    }


def quantile(waits: Sequence[int], p: float) -> int:
    """As design and docs define it."""
    return sorted(waits)[min(len(waits) - 1, int(len(waits) * p))]


def assert_between(what: str, measured_ms: float, within_ns: float, outside_ns: float) -> None:
    """Between two clocks of the program, one read inside of ours and one outside of it."""
    rounding_ns = 1e-9 * outside_ns  # of a double in milliseconds
    measured_ns = measured_ms * 1e6
    assert within_ns - rounding_ns <= measured_ns <= outside_ns + rounding_ns, (
        f"{what}: {measured_ms} ms, the program {within_ns * 1e-6} to {outside_ns * 1e-6}"
    )


def assert_queue(queue: Mapping[str, int], within: list[int], outside: list[int]) -> None:
    """A wait beside a limit may lie on either side of it, one past it on both clocks may not."""
    assert sum(queue.values()) == len(within)
    assert queue["unknown"] == 0
    full_ns, starved_ns = 1_000_000, 50_000_000
    assert sum(t < full_ns for t in outside) <= queue["full"] <= sum(t < full_ns for t in within)
    assert queue["starved"] >= sum(t > starved_ns for t in within)
    assert queue["starved"] <= sum(t > starved_ns for t in outside)


def assert_steady_waits(loader: Mapping[str, Any], pairs: Sequence[Sequence[int]]) -> None:
    """Each wait lies between the program's two clocks, so their sums and quantiles do.

    Exactly, on a busy machine too. How near they are where nothing comes between is
    bench/wait_error.py's.
    """
    waits = loader["wait_ms"]
    assert waits["count"] == len(pairs)
    within, outside = ([pair[side] for pair in pairs] for side in (0, 1))
    assert_queue(loader["queue_state"], within, outside)
    if not pairs:
        return
    count = len(pairs)
    assert_between("mean", waits["mean"], sum(within) / count, sum(outside) / count)
    assert_between("min", waits["min"], min(within), min(outside))
    assert_between("max", waits["max"], max(within), max(outside))
    for name, p in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99)):  # to within 1 %
        low, high = quantile(within, p), quantile(outside, p)
        assert_between(name, waits[name], 0.99 * low, 1.01 * high)


def assert_waits(loader: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """A loader's figures against what the program measured itself (timing.Clock)."""
    steady, first = own["steady"], own["first"]
    assert loader["batches"] == len(steady) + len(first)
    assert loader["iterators"] == own["iterators"]
    assert loader["failed_ms"]["count"] == 0
    assert_steady_waits(loader, steady)
    startup = loader["startup_ms"]
    assert startup["count"] == own["startup_calls"], (startup, own["startup"])
    assert_between("start-up", startup["sum"], *own["startup"])


def only(items: Sequence[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]
