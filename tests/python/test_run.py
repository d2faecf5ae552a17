# SPDX-License-Identifier: Apache-2.0
"""`datastall run` between a user and a command: codes, signals, descriptors, options."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import (
    DATASTALL,
    PYTHON,
    TIMEOUT_S,
    Ended,
    command,
    datastall,
    environment,
    finish,
    only,
    recorded,
    run_folders,
    shown,
    shown_text,
    start,
    write,
)

LOOP = """
import datastall
for item in datastall.watch([1, 2, 3], name="list"):
    pass
"""


def wait_for(path: Path, seconds: float = TIMEOUT_S) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path.name} did not come"
        time.sleep(0.01)


# ---- how it ends ----


@pytest.mark.parametrize("code", [0, 1, 3, 77, 255])
def test_the_commands_code_passes(tmp_path: Path, code: int) -> None:
    assert datastall("run", "sh", "-c", f"exit {code}", folder=tmp_path).code == code
    assert shown(tmp_path)["run"]["exit_status"] == code
    assert f"exit {code})" in shown_text(tmp_path)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV", "SIGINT"])
def test_killed_by_a_signal(tmp_path: Path, name: str) -> None:
    number = int(getattr(signal, name))
    program = f"import os, signal; signal.signal({number}, 0) if {number} != 9 else 0; "
    program += f"os.kill(os.getpid(), {number})"
    ended = datastall("run", PYTHON, "-c", program, folder=tmp_path)
    assert ended.code == 128 + number
    assert shown(tmp_path)["run"]["exit_status"] == 128 + number


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    ended = datastall("run", "no-such-command-here", folder=tmp_path)
    assert ended.code == 127
    assert "no-such-command-here" in only(ended.said)


@pytest.mark.parametrize("record_on", ["", "tmpfs"])
def test_a_command_that_is_not_there_leaves_no_run(tmp_path: Path, record_on: str) -> None:
    """The newest run is still the last one that ran."""
    write(tmp_path, "prog.py", LOOP)
    recorded(tmp_path, "prog.py")
    before = set(Path("/dev/shm").glob("datastall-*"))
    extra = {"DATASTALL_RECORD_ON": record_on}
    ended = datastall("run", "no-such-command-here", folder=tmp_path, extra=extra)
    assert ended.code == 127
    only(run_folders(tmp_path))
    assert only(shown(tmp_path)["loaders"])["batches"] == 3
    new = set(Path("/dev/shm").glob("datastall-*")) - before
    assert not [run for run in new if str(tmp_path) in belongs_to(run)]


@pytest.mark.parametrize("command_line", ["exit 7", "trap '' CHLD; exit 7"])
def test_the_code_passes_where_sigchld_is_ignored(tmp_path: Path, command_line: str) -> None:
    ended = command(
        [DATASTALL, "run", "-q", "sh", "-c", command_line],
        tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert ended.code == 7


@pytest.mark.parametrize("options", ["", "--dir file/runs"])
@pytest.mark.parametrize(("words", "code"), [("sh -c 'sleep .3; exit 7'", 7), ("no-such-one", 127)])
def test_the_code_passes_when_nobody_reads_standard_error(
    tmp_path: Path, words: str, code: int, options: str
) -> None:
    """Also where the command runs without recording."""
    (tmp_path / "file").touch()
    line = f"{{ '{DATASTALL}' run {options} {words} 2>&1 >/dev/null; echo $? > code; }} | true"
    command(["sh", "-c", line], tmp_path)
    wait_for(tmp_path / "code")
    until = time.monotonic() + TIMEOUT_S
    while not (text := (tmp_path / "code").read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    assert int(text) == code


def test_a_command_that_cannot_be_executed(tmp_path: Path) -> None:
    path = write(tmp_path, "data.txt", "text")
    path.chmod(0o644)
    ended = datastall("run", "./data.txt", folder=tmp_path)
    assert ended.code == 126
    assert "./data.txt" in only(ended.said)


def test_wrong_usage(tmp_path: Path) -> None:
    for arguments in (
        ["run"],
        ["run", "--"],
        ["run", "--no-such-option", "true"],
        ["run", "--name"],
        ["show", "--no-such-option"],
        ["show", "one", "two"],
        ["ls", "one"],
        ["no-such-command"],
        [],
    ):
        ended = datastall(*arguments, folder=tmp_path)
        assert ended.code == 2, arguments
        assert ended.out == ""
        assert ended.err
    assert not (tmp_path / "datastall-runs").exists()


def test_the_summary_is_on_standard_error(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", LOOP + "print('result')\n")
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == "result\n"
    assert "VERDICT" in ended.err
    run = only(run_folders(tmp_path)).name
    assert f"NEXT     datastall show -v {run}" in ended.err.splitlines()
    # Last of all; its rate, of a loop of microseconds, may be long enough for a second line.
    began = ended.err[ended.err.index("\nVERDICT") + 1 :].splitlines()
    assert all(line.startswith("   ") for line in began[1:]), ended.err
    assert "VERDICT" in datastall("show", run, folder=tmp_path).out
    assert ended.said == []


def test_quiet(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", LOOP)
    for option in ("-q", "--quiet"):
        assert recorded(tmp_path, "prog.py", options=[option]).err == ""
    assert len(run_folders(tmp_path)) == 2


# ---- what passes through ----


def test_standard_input_and_output_pass_through(tmp_path: Path) -> None:
    text = "one\ntwo\n" * 1000
    process = start([DATASTALL, "run", "-q", "cat"], tmp_path, stdin=subprocess.PIPE)
    ended = finish(process, text)
    assert (ended.code, ended.out, ended.err) == (0, text, "")


def test_other_descriptors_pass_through(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    program = f"import os; os.write({writing}, b'through')"
    argv = [DATASTALL, "run", "-q", PYTHON, "-c", program]
    process = start(argv, tmp_path, pass_fds=(writing,))
    os.close(writing)
    assert finish(process).code == 0
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "through"


def test_no_descriptor_of_ours_reaches_the_command(tmp_path: Path) -> None:
    program = "import os; print(sorted(os.listdir('/proc/self/fd')))"
    plain = command([PYTHON, "-c", program], tmp_path)
    ended = datastall("run", "-q", PYTHON, "-c", program, folder=tmp_path)
    assert ended.out == plain.out


def test_ignored_and_blocked_signals_are_as_before(tmp_path: Path) -> None:
    program = "print([line for line in open('/proc/self/status') if line[:4] in %r])"
    program %= (("SigB", "SigI", "SigC"),)  # not SigQ, which counts those of other processes
    inner = [PYTHON, "-c", program]
    trap = ["sh", "-c", "trap '' HUP USR1; exec \"$@\"", "sh"]
    plain = command([*trap, *inner], tmp_path)
    ended = command([*trap, DATASTALL, "run", "-q", *inner], tmp_path)
    assert plain.out == ended.out != ""


@pytest.mark.parametrize("options", [[], ["--dir", "file/runs"]])
@pytest.mark.parametrize("ignored", [(), (signal.SIGCHLD, signal.SIGPIPE)])
def test_the_launchers_own_signals_are_not_inherited(
    tmp_path: Path, ignored: tuple[signal.Signals, ...], options: list[str]
) -> None:
    """What it ignores and resets for itself is for the command as it was; grep changes none."""
    (tmp_path / "file").touch()

    def ignore() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    inner = ["grep", "^Sig[BIC]", "/proc/self/status"]
    plain = command(inner, tmp_path, preexec_fn=ignore)
    ended = command([DATASTALL, "run", "-q", *options, *inner], tmp_path, preexec_fn=ignore)
    assert plain.out == ended.out != ""


@pytest.mark.parametrize("dashes", [[], ["--"]])
def test_options_of_the_command_are_not_eaten(tmp_path: Path, dashes: list[str]) -> None:
    program = "import sys; print(sys.argv[1:])"
    words = ["--name", "x", "-q", "--dir=y", "--", "-h", "--help"]
    ended = datastall("run", *dashes, PYTHON, "-c", program, *words, folder=tmp_path)
    assert ended.code == 0
    assert ended.out == f"{words}\n"
    assert len(run_folders(tmp_path)) == 1
    assert shown(tmp_path)["run"]["command"].endswith(" ".join(words))


# ---- where it records ----


def test_names_and_folders(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", LOOP)
    recorded(tmp_path, "prog.py")
    assert "-prog.py" in only(run_folders(tmp_path)).name
    recorded(tmp_path, "prog.py", options=["--name", "my run/../x", "--dir", "a/b"])
    named = only(list((tmp_path / "a" / "b").iterdir()))
    assert named.name.endswith("-my_run_.._x")
    recorded(tmp_path, "prog.py", extra={"DATASTALL_DIR": str(tmp_path / "c")})
    assert len(list((tmp_path / "c").iterdir())) == 1
    recorded(tmp_path, "prog.py", options=["-dd"], extra={"DATASTALL_DIR": str(tmp_path / "c")})
    assert len(list((tmp_path / "d").iterdir())) == 1
    assert len(run_folders(tmp_path)) == 1
    for folder in (tmp_path / "a", tmp_path / "a" / "b", named):
        assert folder.stat().st_mode & 0o777 == 0o700
    for file in named.glob("*.dsrun"):
        assert file.stat().st_mode & 0o777 == 0o600


def test_two_runs_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    processes = [start([DATASTALL, "run", "sh", "-c", f"exit {n}"], tmp_path) for n in range(6)]
    assert [finish(process).code for process in processes] == list(range(6))
    folders = run_folders(tmp_path)
    assert len(folders) == 6
    assert sorted(shown(tmp_path, str(folder))["run"]["exit_status"] for folder in folders) == [
        *range(6)
    ]


def test_on_tmpfs(tmp_path: Path) -> None:
    """Recorded in memory and brought home, as is done by itself on network file systems."""
    write(
        tmp_path,
        "prog.py",
        LOOP + "import os; print(os.environ['DATASTALL_RUN_DIR'])\n",
    )
    ended = recorded(tmp_path, "prog.py", extra={"DATASTALL_RECORD_ON": "tmpfs"})
    tmpfs = Path(ended.out.strip())
    assert tmpfs.parent == Path("/dev/shm")
    assert not tmpfs.exists()
    folder = only(run_folders(tmp_path))
    assert sorted(path.suffix for path in folder.iterdir()) == [".dsrun", ".dsrun"]
    assert only(shown(tmp_path)["loaders"])["batches"] == 3


OUTLIVING = """
import os, pathlib, time
import datastall
for number in datastall.watch(range(30), name="numbers"):
    if number == 3:
        pathlib.Path("ready").touch()
    until = time.monotonic() + 300
    while number == 9 and not os.path.exists("go") and time.monotonic() < until:
        time.sleep(0.01)
"""


def belongs_to(tmpfs: Path) -> str:
    try:
        return (tmpfs / "belongs-to").read_text().strip()
    except OSError:  # another test's, on its way home
        return ""


def start_one_that_outlives(folder: Path) -> Ended:
    write(folder, "bg.py", OUTLIVING)
    line = f"'{PYTHON}' bg.py > out 2>&1 & until [ -e ready ]; do sleep .05; done"
    return datastall("run", "sh", "-c", line, folder=folder, extra={"DATASTALL_RECORD_ON": "tmpfs"})


def test_a_process_that_outlives_the_command_on_tmpfs(tmp_path: Path) -> None:
    """The last one to end brings the run home; until then show finds it where it is."""
    ended = start_one_that_outlives(tmp_path)
    home = only(run_folders(tmp_path))
    tmpfs = Path((home / "recording-at").read_text().strip())
    assert ended.code == 0
    assert belongs_to(tmpfs) == str(home)
    assert f"still records; the run stays in {tmpfs}" in only(ended.said)
    run = shown(tmp_path)
    assert only(run["loaders"])["batches"] in range(4, 11)
    assert run["run"]["exit_status"] == 0
    (tmp_path / "go").touch()
    until = time.monotonic() + TIMEOUT_S
    while tmpfs.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert (tmp_path / "out").read_text() == ""
    assert sorted(path.suffix for path in home.iterdir()) == [".dsrun", ".dsrun"]
    run = shown(tmp_path)
    assert only(run["loaders"])["batches"] == 30
    assert only(run["processes"])["state"] == "ended"
    assert not tmpfs.exists()


def test_a_process_that_outlives_the_command_and_is_killed(tmp_path: Path) -> None:
    """Nobody is left to bring the run home but who looks at it."""
    start_one_that_outlives(tmp_path)
    home = only(run_folders(tmp_path))
    tmpfs = Path((home / "recording-at").read_text().strip())
    os.kill(only(shown(tmp_path)["processes"])["pid"], signal.SIGKILL)
    until = time.monotonic() + TIMEOUT_S
    while only(shown(tmp_path)["processes"])["state"] == "running" or tmpfs.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert only(shown(tmp_path)["loaders"])["batches"] in range(4, 11)
    assert sorted(path.suffix for path in home.iterdir()) == [".dsrun", ".dsrun"]


# ---- signals ----

COUNTING = """
import pathlib, signal, sys, time
import datastall
counted = {}
def count(number, frame):
    counted[number] = counted.get(number, 0) + 1
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, count)
list(datastall.watch([1, 2, 3]))
pathlib.Path("ready").touch()
until = time.monotonic() + 300
while not counted and time.monotonic() < until:
    time.sleep(0.01)
time.sleep(0.3)  # a second one would come at once
print(sorted((int(number), times) for number, times in counted.items()))
sys.exit(9)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_a_signal_for_the_launcher_reaches_the_command(tmp_path: Path, name: str) -> None:
    write(tmp_path, "prog.py", COUNTING)
    process = start([DATASTALL, "run", PYTHON, "prog.py"], tmp_path)
    wait_for(tmp_path / "ready")
    process.send_signal(getattr(signal, name))
    ended = finish(process)
    assert ended.code == 9
    assert ended.out == f"[({int(getattr(signal, name))}, 1)]\n"
    assert "VERDICT" in ended.err


def test_a_signal_that_kills_the_command(tmp_path: Path) -> None:
    write(
        tmp_path, "prog.py", "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(300)"
    )
    process = start([DATASTALL, "run", PYTHON, "prog.py"], tmp_path)
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == 128 + signal.SIGTERM


def run_on_terminal(argv: list[str], folder: Path, keys: bytes, ready: Path) -> Ended:
    """Runs a command as a shell's foreground job and types keys once it is ready."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(folder)
            os.execve(argv[0], argv, environment())
        finally:
            os._exit(120)
    wait_for(ready)
    os.write(terminal, keys)
    output = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return Ended(os.waitstatus_to_exitcode(status), output.decode(), "")


def test_ctrl_c_reaches_the_command_once(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", COUNTING)
    argv = [DATASTALL, "run", PYTHON, "prog.py"]
    ended = run_on_terminal(argv, tmp_path, b"\x03", tmp_path / "ready")
    assert ended.code == 9
    assert f"[({int(signal.SIGINT)}, 1)]" in ended.out
    assert "VERDICT" in ended.out


def test_ctrl_c_ends_a_program_as_usual(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import datastall, pathlib, time
        for item in datastall.watch(range(10**9)):
            time.sleep(0.001)
            if item == 100:
                pathlib.Path("ready").touch()
        """,
    )
    argv = [DATASTALL, "run", PYTHON, "prog.py"]
    ended = run_on_terminal(argv, tmp_path, b"\x03", tmp_path / "ready")
    assert ended.code == 128 + signal.SIGINT
    assert "KeyboardInterrupt" in ended.out
    run = shown(tmp_path)
    assert run["run"]["exit_status"] == 128 + signal.SIGINT
    assert only(run["loaders"])["batches"] > 100
    assert only(run["processes"])["state"] == "ended"


def test_killed_altogether(tmp_path: Path) -> None:
    """kill -9 of the launcher and the program at once: what was recorded is still there."""
    write(
        tmp_path,
        "prog.py",
        """
        import datastall, pathlib, time
        for item in datastall.watch(range(10**9), measure=lambda item: 3):
            time.sleep(0.001)
            if item == 50:
                pathlib.Path("ready").touch()
        """,
    )
    process = start([DATASTALL, "run", PYTHON, "prog.py"], tmp_path)
    wait_for(tmp_path / "ready")
    running = shown(tmp_path)
    assert running["run"]["state"] == only(running["processes"])["state"] == "running"
    assert "still running" in shown_text(tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    assert finish(process).code == -signal.SIGKILL
    # The program is not our child: its death is not ours to wait for.
    until = time.monotonic() + TIMEOUT_S
    while only((run := shown(tmp_path))["processes"])["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert run["run"]["state"] == only(run["processes"])["state"] == "died"
    loader = only(run["loaders"])
    assert loader["batches"] > 50
    assert loader["samples"] == 3 * loader["batches"]
    assert loader["wait_ms"]["count"] == loader["batches"] - 1
    assert "killed or lost" in shown_text(tmp_path)


# ---- finding runs ----


def test_ls_and_show_find_runs(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", LOOP)
    for name in ("alpha", "beta"):
        recorded(tmp_path, "prog.py", options=["--name", name])
    alpha, beta = (
        only([run for run in run_folders(tmp_path) if name in run.name])
        for name in ("alpha", "beta")
    )
    listed = datastall("ls", folder=tmp_path)
    assert listed.code == 0
    assert [line.split()[0] for line in listed.out.splitlines()] == ["RUN", alpha.name, beta.name]
    assert "ended" in listed.out.splitlines()[1]
    assert shown(tmp_path)["run"]["id"] == beta.name
    assert shown(tmp_path, alpha.name)["run"]["id"] == alpha.name
    # DATE-TIME-NAME: both begin with the date.
    for part in (alpha.name[:-1], "alpha", "lph"):
        assert shown(tmp_path, part)["run"]["id"] == alpha.name
    several = datastall("show", alpha.name[:8], folder=tmp_path)
    assert several.code == 1
    assert "several runs" in only(several.said)
    for path in (str(alpha), f"{alpha}/", f"./datastall-runs/{alpha.name}"):
        assert shown(tmp_path, path)["run"]["id"] == alpha.name
    assert shown(tmp_path.parent, "--dir", str(alpha.parent))["run"]["id"] == beta.name
    # What could not start is in the list, and not what is meant without a name.
    failed = datastall("run", PYTHON, "no_such_file.py", folder=tmp_path)
    assert failed.code == 2
    assert len(run_folders(tmp_path)) == 3
    assert shown(tmp_path)["run"]["id"] == beta.name
    # Of several runs of one name the newest that was given it, though an older id is a part of it.
    recorded(tmp_path, "prog.py", options=["--name", "alpha"])
    assert shown(tmp_path, "alpha")["run"]["id"] == run_folders(tmp_path)[-1].name != alpha.name
    missing = datastall("show", "no-such-run", folder=tmp_path)
    assert (missing.code, missing.out) == (1, "")
    assert "no-such-run" in only(missing.said)


def test_show_says_where_the_run_lies(tmp_path: Path) -> None:
    """The command that it names shows the same run, from the same place."""
    write(tmp_path, "prog.py", LOOP)
    recorded(tmp_path, "prog.py", options=["--dir", "elsewhere"])
    run = only(list((tmp_path / "elsewhere").iterdir()))
    recorded(tmp_path, "prog.py")
    newest = only(run_folders(tmp_path))
    for arguments, named in (
        (["--dir", "elsewhere"], f"elsewhere/{run.name}"),
        (["--dir", "elsewhere", run.name[:-1]], f"elsewhere/{run.name}"),
        ([f"./elsewhere/{run.name}/"], f"./elsewhere/{run.name}"),
        ([str(run)], str(run)),
        ([], newest.name),
        ([newest.name[:-1]], newest.name),
    ):
        lines = shown_text(tmp_path, *arguments).splitlines()
        assert f"NEXT     datastall show --json {named}" in lines
        assert shown(tmp_path, named)["run"]["id"] == Path(named).name


def test_without_runs(tmp_path: Path) -> None:
    ended = datastall("show", folder=tmp_path)
    assert (ended.code, ended.out) == (1, "")
    assert "datastall run" in only(ended.said)
    (tmp_path / "datastall-runs").mkdir()
    ended = datastall("show", folder=tmp_path)
    assert ended.code == 1
    assert "there are no runs in datastall-runs" in only(ended.said)
    (tmp_path / "datastall-runs" / "empty").mkdir()
    ended = datastall("show", folder=tmp_path)
    assert ended.code == 1
    assert "holds no run files" in only(ended.said)


# ---- checks ----


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (["stall>0"], 0),
        (["stall <= 100 %"], 0),
        (["stall<0.001"], 1),
        (["p95>=4ms"], 0),
        (["p95<4"], 1),
        (["p50>4", "p99>4", "max>4", "mean>4"], 0),
        (["p50>4", "p99<4"], 1),
        (["stall=3"], 2),
        (["speed<3"], 2),
        (["p95<"], 2),
        (["p95<5s"], 2),
        (["p95<nan"], 2),
        ([""], 2),
    ],
)
def test_checks(slow_run: Path, conditions: list[str], code: int) -> None:
    arguments = [word for condition in conditions for word in ("--check", condition)]
    ended = datastall("show", *arguments, folder=slow_run)
    assert ended.code == code, ended.err
    assert ended.said


@pytest.fixture(scope="module")
def slow_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose waits take 5 ms and a bit."""
    folder = tmp_path_factory.mktemp("slow")
    source = (
        "import datastall, time\nfor _ in datastall.watch(time.sleep(5e-3) for _ in range(9)):\n"
    )
    write(folder, "prog.py", source + "    pass\n")
    recorded(folder, "prog.py")
    return folder


def test_a_check_of_what_was_not_measured(tmp_path: Path, no_driver: dict[str, str]) -> None:
    write(tmp_path, "prog.py", LOOP)
    recorded(tmp_path, "prog.py", extra=no_driver)
    ended = datastall("show", "--check", "idle<100", folder=tmp_path)
    assert ended.code == 1
    assert "check unknown" in only(ended.said)


def test_help(tmp_path: Path) -> None:
    for arguments in (["--help"], ["help"], ["help", "run"], ["run", "--help"], ["show", "-h"]):
        ended = datastall(*arguments, folder=tmp_path)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out
    version = datastall("--version", folder=tmp_path).out.split()[1]
    program = "import datastall; print(datastall.__version__)"
    assert command([sys.executable, "-c", program], tmp_path).out.strip() == version
