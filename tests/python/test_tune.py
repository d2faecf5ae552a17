# SPDX-License-Identifier: Apache-2.0
"""`datastall tune`: trials of a whole program, each ended as Ctrl-C would end it."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import PYTHON, completed, environment

#: A trial is ended by signals to all of its processes.
pytestmark = pytest.mark.whole_start

#: Sleeps, so that more workers are faster on a busy machine too; runs for longer than a trial.
PROGRAM = """
import os, signal, time, torch
from torch.utils.data import DataLoader, Dataset
class Items(Dataset):
    def __len__(self): return 100000
    def __getitem__(self, i):
        time.sleep(0.004)
        return torch.tensor(i)
loader = DataLoader(Items(), 8, num_workers=1)
main = os.getpid()
def interrupted(number, frame):
    if os.getpid() == main:
        with open("interrupts", "a") as file:
            file.write(f"{loader.num_workers} {time.monotonic()}\\n")
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, interrupted)
try:
    for batch in loader:
        time.sleep(0.001)
except (KeyboardInterrupt, RuntimeError):  # torch saw first that a worker is gone
    time.sleep(0.5)
    with open("checkpoints", "a") as file:
        file.write("whole\\n")
"""


def tune(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return completed(["datastall", "tune", "-d", "runs", *words], folder)


def test_more_workers_are_found(tmp_path):
    (tmp_path / "p.py").write_text(PROGRAM)
    ended = tune(tmp_path, "--for", "4s", "--trials", "1", "--", "python", "p.py")
    assert ended.returncode == 0, ended.stderr
    assert (
        "run up to 2 times, 4 s from the first batch on, and then ended as by Ctrl-C"
        in ended.stderr
    )
    # Each trial was interrupted once, and had the time to end by itself. Now and then a worker that
    # is interrupted keeps the lock of an Event, and torch waits for it until the next interrupt.
    interrupts = [line.split() for line in (tmp_path / "interrupts").read_text().splitlines()]
    assert interrupts[0][0] == "1"
    tried = {workers for workers, _ in interrupts} - {"1"}
    assert len(tried) == 1 and int(*tried) > 1, interrupts
    for one, next_one in itertools.pairwise(interrupts):
        assert one[0] != next_one[0] or float(next_one[1]) - float(one[1]) > 25, interrupts
    assert (tmp_path / "checkpoints").read_text() == "whole\nwhole\n"
    table = ended.stdout
    assert re.search(r"^as is +num_workers=1 +- ", table, re.M)
    found = re.search(r"^best +num_workers=(\d+) +[\d.]+ \([\d.]+ to [\d.]+\) ", table, re.M)
    assert found and found[1] == interrupts[-1][0]
    assert f"WRITE    DataLoader(..., num_workers={found[1]}) at p.py:9:" in table
    assert f"datastall run --set 'p.py:9:num_workers={found[1]}' -- {PYTHON} p.py" in table
    assert "ended: that was the last of the trials" in table or "no other setting is" in table
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_what_cannot_be_better_is_kept(tmp_path):
    """The loop takes what is there already."""
    program = PROGRAM.replace("time.sleep(0.004)", "pass").replace("0.001)", "0.03)")
    program = program.replace("num_workers=1", "num_workers=0")
    (tmp_path / "p.py").write_text(program)
    ended = tune(tmp_path, "--for", "4s", "--", "python", "p.py")
    assert ended.returncode == 0, ended.stderr
    assert "KEEP     num_workers=0 at p.py:9 is the fastest of what was tried" in ended.stdout
    # On a busy machine one may be predicted to be: then it is tried, and is slower.
    assert re.search(
        "no other setting is predicted to be more than 2 % faster|ended: that trial was slower",
        ended.stdout,
    ), ended.stdout


def test_a_trial_that_ends_within_an_item(tmp_path):
    """Without workers the interrupt comes where the time goes: in the data set."""
    program = PROGRAM.replace("Items(), 8, num_workers=1", "Items(), 2, num_workers=0")
    (tmp_path / "p.py").write_text(program.replace("0.004", "0.1"))
    ended = tune(tmp_path, "--for", "5s", "--trials", "1", "--", "python", "p.py")
    assert ended.returncode == 0, ended.stderr
    assert "did not run to its end" not in ended.stdout
    assert re.search(r"^best +num_workers=[1-9]", ended.stdout, re.M), ended.stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--for", "soon", "--", "true"), 2, "--for takes a time of at least a second"),
        (("--for", "0.5s", "--", "true"), 2, "--for takes a time of at least a second"),
        (("--trials", "0", "--", "true"), 2, "--trials takes a number from 1 to 20, not '0'"),
        (("--for", "5"), 2, "which command?"),
        (("--for", "5", "--", "false"), 1, "ended with code 1 before its time"),
        (("--for", "5", "--", "no-such-program"), 1, "ended with code 127 before its time"),
        (("--for", "5", "--", "true"), 1, "no DataLoader that the program makes was iterated"),
    ],
)
def test_what_goes_wrong_is_one_sentence(tmp_path, words, code, sentence):
    ended = tune(tmp_path, *words)
    assert ended.returncode == code
    assert ended.stdout == ""
    assert sentence in ended.stderr.splitlines()[-1]


def test_what_no_data_loader_makes_has_no_setting(tmp_path):
    (tmp_path / "p.py").write_text(
        "import datastall, time\n"
        "for _ in datastall.watch((time.sleep(0.01) for _ in range(100)), name='train'): pass\n"
    )
    ended = tune(tmp_path, "--for", "5", "--", "python", "p.py")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "no DataLoader that the program makes was iterated" in ended.stderr.splitlines()[-1]


def test_ctrl_c_ends_all_of_it(tmp_path):
    (tmp_path / "p.py").write_text(PROGRAM)
    running = subprocess.Popen(
        ["datastall", "tune", "--for", "10m", "-d", "runs", "--", "python", "p.py"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 120
    while not list(tmp_path.glob("runs/*/[0-9]*.dsrun")) and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(0.5)
    os.kill(running.pid, signal.SIGINT)
    _, stderr = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "tune: interrupted" in stderr
    interrupts = (tmp_path / "interrupts").read_text().splitlines()
    assert {line.split()[0] for line in interrupts} == {"1"}
    assert (tmp_path / "checkpoints").read_text() == "whole\n"
