# SPDX-License-Identifier: Apache-2.0
"""What the command line does for whoever types it: versions, hints, completion, `python -m`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import DATASTALL, PYTHON, command, datastall, recorded, run_folders, write

LOOP = "import datastall\nfor _ in datastall.watch([[1]] * 5, name='five'): pass\n"
PATH = {"PATH": f"{Path(DATASTALL).parent}:/usr/bin:/bin"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of train.py and one that is named evaluation, in a folder of its own."""
    folder = tmp_path_factory.mktemp("runs")
    write(folder, "train.py", LOOP)
    recorded(folder, "train.py")
    recorded(folder, "train.py", options=["--name", "evaluation", "--dir", "other"])
    return folder


def test_versions(tmp_path: Path) -> None:
    said = datastall("--version", folder=tmp_path).out
    assert re.fullmatch(r"datastall \d+\.\d+\.\d+ \(run files of format \d+\.\d+\)\n", said)
    assert datastall("-V", folder=tmp_path).out == said
    layout = (Path(__file__).parents[2] / "src/runfile/layout.h").read_text()
    numbers = re.findall(r"#define RF_FORMAT_M\w+ (\d+)", layout)
    assert f"format {'.'.join(numbers)})" in said


def test_the_program_by_its_package(tmp_path: Path) -> None:
    write(tmp_path, "train.py", LOOP)
    module = [PYTHON, "-m", "datastall"]
    assert command([*module, "--version"], tmp_path).out.startswith("datastall ")
    script = "trap 'echo caught; exit 7' TERM; kill -TERM $$; sleep 100"
    ended = command([*module, "run", "-q", "sh", "-c", script], tmp_path)
    assert (ended.code, ended.out) == (7, "caught\n")
    assert command([*module, "run", "-q", PYTHON, "train.py"], tmp_path).code == 0
    assert "five" in command([*module, "show"], tmp_path).out
    assert command([*module, "shwo"], tmp_path).code == 2


@pytest.mark.whole_start
def test_the_program_by_its_package_ignores_no_signal(tmp_path: Path) -> None:
    """Python ignores two signals; a command that is run must find them as they came."""
    words = ["run", "-q", "grep", "SigIgn", "/proc/self/status"]
    plain = command([DATASTALL, *words], tmp_path).out
    assert command([PYTHON, "-m", "datastall", *words], tmp_path).out == plain != ""


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["shwo"], 2, "show"),
        (["Run"], 2, "run"),
        (["help", "exprot"], 2, "export"),
        (["help", "--completion", "bsah"], 2, "bash"),
        (["show", "--chek", "idle<5"], 2, "--check"),
        (["run", "--nmae", "x", "true"], 2, "--name"),
        (["top", "--intervall=3"], 2, "--interval"),
        (["export", "--format", "openmetric"], 2, "openmetrics"),
        (["show", "--check", "stal<5"], 2, "stall"),
        (["show", "--check", "p96 < 5 ms"], 2, "p99"),
        (["show", "trian.py"], 1, "ID"),
        (["show", "ID-2"], 1, "ID"),
        (["export", "trian.py"], 1, "ID"),
    ],
)
def test_did_you_mean(runs: Path, arguments: list[str], code: int, hint: str) -> None:
    run = run_folders(runs)[0].name
    ended = datastall(*(word.replace("ID", run) for word in arguments), folder=runs)
    assert ended.code == code, ended
    assert f"(did you mean '{hint.replace('ID', run)}'?)" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["compare"], 2),
        (["show", "--x"], 2),
        (["show", "-x"], 2),
        (["show", "--check", "speed<5"], 2),
        (["show", "--check", "stall<many"], 2),
        (["show", "validation"], 1),
        (["help", "--completion", "powershell"], 2),
    ],
)
def test_nothing_far_is_offered(runs: Path, arguments: list[str], code: int) -> None:
    ended = datastall(*arguments, folder=runs)
    assert ended.code == code
    assert "did you mean" not in ended.err and len(ended.said) == 1


def test_a_value_that_an_option_does_not_take(tmp_path: Path) -> None:
    ended = datastall("show", "--json=1", folder=tmp_path)
    assert ended.code == 2
    assert "no value may follow --json=1" in ended.err and "did you mean" not in ended.err


def test_ids(runs: Path) -> None:
    assert datastall("ls", "--ids", folder=runs).out == f"{run_folders(runs)[0].name}\n"
    assert datastall("ls", "--ids", "-d", "other", folder=runs).out.endswith("-evaluation\n")
    empty = datastall("ls", "--ids", "--dir", "nowhere", folder=runs)
    assert (empty.code, empty.out, empty.err) == (0, "", "")


# ---- completion ----


def script_for(shell: str, folder: Path) -> Path:
    """A completion script; the test is skipped where the shell is not installed."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = folder / f"completion.{shell}"
    script.write_text(datastall("help", "--completion", shell, folder=folder).out)
    subprocess.run([shell, "-n", str(script)], check=True)
    return script


def bash_offers(runs: Path, tmp_path: Path, words: list[str]) -> set[str]:
    quoted = " ".join(f"'{word}'" for word in words)
    code = f"""
    source {script_for("bash", tmp_path)}
    COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}
    _datastall
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return set(command(["bash", "-c", code], runs, PATH).out.split())


def fish_offers(runs: Path, tmp_path: Path, words: list[str]) -> set[str]:
    code = f"source {script_for('fish', tmp_path)}; complete -C '{' '.join(words)}'"
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    out = command(["fish", "--no-config", "-c", code], runs, PATH | home).out
    return {line.split("\t")[0] for line in out.splitlines()}


OFFERS = {"bash": bash_offers, "fish": fish_offers}


@pytest.mark.parametrize("shell", OFFERS)
def test_what_a_shell_offers(runs: Path, tmp_path: Path, shell: str) -> None:
    def offers(*words: str) -> set[str]:
        return OFFERS[shell](runs, tmp_path, ["datastall", *words])

    run = run_folders(runs)[0].name
    other = datastall("ls", "--ids", "--dir", "other", folder=runs).out.strip()
    assert {"run", "show", "serve", "help"} <= offers("")
    assert offers("sh") == {"show"}
    assert offers("show", "--ch") == {"--check"}
    assert run in offers("show", "")
    assert run in offers("top", "--once", "20")
    assert other in offers("show", "--dir", "other", "2")
    assert run not in offers("show", "-d", "other", "2")
    assert offers("export", "--format", "") == {"openmetrics", "prometheus", "perfetto", "csv"}
    assert {"show", "causes"} <= offers("help", "")
    assert {word.rstrip("/") for word in offers("ls", "--dir", "ot")} == {"other"}
    assert "grep" in offers("run", "gre")
    assert offers("run", "grep", "--json") == set()


def test_zsh(runs: Path, tmp_path: Path) -> None:
    """What the script hands to zsh's own functions; zsh completes in a terminal only."""
    code = f"""
    compdef() {{ : }}
    _directories() {{ : }}
    _describe() {{ print -rl -- ${{(P)2}} }}
    _arguments() {{ print -rl -- "$@" }}
    compadd() {{ [[ $1 == -a ]] && print -rl -- ${{(P)2}} || print -rl -- "$@" }}
    source {script_for("zsh", tmp_path)}
    words=(datastall ''); CURRENT=2; _datastall
    print -- ----
    words=(datastall show ''); CURRENT=3; _datastall
    print -- ----
    words=(datastall export --format ''); CURRENT=4; _datastall
    print -- ----
    typeset -A opt_args
    _datastall_runs
    print -- ----
    opt_args=(--dir other); _datastall_runs
    """
    ended = command(["zsh", "-f", "-c", code], runs, PATH)
    assert ended.err == ""
    parts = [part.splitlines() for part in re.split(r"(?m)^----\n", ended.out)]
    commands, show, export, own, others = parts
    assert "show:the verdict of a run, also while it is running" in commands
    assert "*:RUN:_datastall_runs" in show
    assert any(line.startswith("*--check[exit 1 unless") for line in show)
    assert any(line.startswith("*-d[") and line.endswith(":DIR:_directories") for line in show)
    assert any(line.endswith(":FORMAT:(openmetrics prometheus perfetto csv)") for line in export)
    assert own == [run_folders(runs)[0].name]
    assert len(others) == 1 and others[0].endswith("-evaluation")
