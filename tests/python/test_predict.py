# SPDX-License-Identifier: Apache-2.0
"""`datastall predict`: from a run of a whole program to what other settings would give."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import completed, on_a_busy_machine

PROGRAM = """
import time, torch
from torch.utils.data import DataLoader, Dataset
class Items(Dataset):
    def __len__(self): return 480
    def __getitem__(self, i):
        time.sleep(0.004)
        return torch.tensor(i)
for batch in DataLoader(Items(), 8, num_workers=1):
    time.sleep(0.001)
"""
#: With items that sleep for so long that waiting for a CPU after it is a small part on any machine.
LONG_ITEMS = PROGRAM.replace("480", "240").replace("0.004", "0.016").replace("(), 8", "(), 4")


def datastall(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return completed(["datastall", *words], folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the run of a program whose items sleep."""
    folder = tmp_path_factory.mktemp("predict")
    (folder / "p.py").write_text(LONG_ITEMS)
    ended = datastall(folder, "run", "-d", "runs", "--", "python", "p.py")
    assert ended.returncode == 0, ended.stderr
    (folder / "shown").write_text(ended.stderr)
    return folder


def predicted(folder: Path, *words: str) -> Any:
    told = datastall(folder, "predict", "--dir", "runs", "--json", *words)
    assert told.returncode == 0, told.stderr
    (loader,) = json.loads(told.stdout)["loaders"]
    return loader["predicted"]


@on_a_busy_machine
def test_sleeping_items_go_as_many_times_as_fast(runs):
    """On CPUs that nobody else uses, whatever this machine did meanwhile."""
    answer = predicted(runs, "--workers", "0..4", "--prefetch", "1..3", "--cpus", "16")
    assert answer["says"] is None
    assert abs(answer["replay_error"]) <= 0.1
    assert answer["measured"]["num_workers"] == 1
    settings = {(s["num_workers"], s["prefetch_factor"]): s for s in answer["settings"]}
    assert len(settings) == 1 + 4 * 3
    for one in settings.values():
        for figure in ("samples_per_s", "window_s", "stall_share"):
            assert one[figure]["lower"] <= one[figure]["mean"] <= one[figure]["upper"]
    now = answer["measured"]["samples_per_s"]["mean"]
    # A busy machine starts workers slowly, which this short run does not make up for.
    two, three = (settings[n, 2]["samples_per_s"]["mean"] / now for n in (2, 3))
    assert 1.2 < two < 2.4
    assert two < three < 3.6
    assert answer["settings"][answer["best"]]["num_workers"] >= 3
    without = {one["what"]: one for one in answer["without"]}
    assert "order" not in without  # one worker
    assert without["blocking"]["samples_per_s"]["mean"] > 1.5 * now
    assert without["half_compute"]["samples_per_s"]["mean"] < 1.4 * now


@on_a_busy_machine
def test_the_advice_carries_its_gain(runs):
    shown = " ".join((runs / "shown").read_text().split())
    assert "by a replay of this run" in shown
    (loader,) = json.loads(datastall(runs, "show", "--dir", "runs", "--json").stdout)["loaders"]
    assert loader["predicted"]["says"] is None
    # Where others have the CPUs, more workers are not suggested.
    suggested = "num_workers=" in (loader["why"]["suggestion"] or "")
    assert ("x faster (" in shown) == suggested, shown
    assert suggested or (loader["why"]["host"]["others_cpus"] or 0) > 0.5, loader["why"]


def test_the_table(runs):
    told = datastall(runs, "predict", "--dir", "runs", "-w", "0..3")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("replayed" in line for line in lines) == 2
    assert sum(line.startswith("*") for line in lines) == 1
    assert any(line.startswith("=") and "measured" in line for line in lines)
    assert any("storage cached" in line for line in lines)


def test_more_cpus_do_not_help_who_sleeps(runs):
    few = predicted(runs, "--workers", "2", "--cpus", "2")
    many = predicted(runs, "--workers", "2", "--cpus", "32")
    ratio = (
        many["settings"][0]["samples_per_s"]["mean"] / few["settings"][0]["samples_per_s"]["mean"]
    )
    assert 0.95 < ratio < 1.15


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--workers", "3..1"), "--workers takes a number or a range up to 64, as in 0..8"),
        (("--workers", "many"), "--workers takes a number or a range"),
        (("--workers", "0..65"), "--workers takes a number or a range up to 64"),
        (("--workers", "-1"), "--workers takes a number or a range"),
        (("--workers", "1..2x"), "--workers takes a number or a range"),
        (("--prefetch", "0..2"), "--prefetch begins at 1"),
        (("--cpus", "none"), "--cpus takes a number from 0.25 to 256, not 'none'"),
        (("--cpus", "0"), "--cpus takes a number"),
        (("one", "two"), "one run at a time"),
    ],
)
def test_bad_words_are_one_sentence(runs, words, sentence):
    told = datastall(runs, "predict", "--dir", "runs", *words)
    assert told.returncode == 2
    assert told.stdout == ""
    assert sentence in told.stderr
    assert told.stderr.count("\n") == 1


def run_of(folder: Path, program: str) -> Any:
    (folder / "q.py").write_text(program)
    ended = datastall(folder, "run", "-q", "-d", "runs", "--", "python", "q.py")
    assert ended.returncode == 0, ended.stderr
    return predicted(folder)


VALIDATES = (
    PROGRAM.partition("for batch in")[0].replace("480", "160").replace("0.004", "0.02")
    + """
loader = DataLoader(Items(), 4, num_workers=1)
for epoch in range(2):
    batches = iter(loader)
    for i in range(len(loader)):
        next(batches)
        time.sleep(0.001)
    time.sleep(1)
    if epoch < ENDED:
        assert next(batches, None) is None
    del batches
"""
)


@pytest.mark.parametrize("ended", [2, 1])
@on_a_busy_machine
def test_a_validation_takes_as_long_with_any_setting(tmp_path, ended):
    """Within the loop, at the end of each epoch: it is replayed, or where the iterator did not end
    (Ignite leaves the last one) added to what was, and so in the promise."""
    (tmp_path / "p.py").write_text(VALIDATES.replace("ENDED", str(ended)))
    assert datastall(tmp_path, "run", "-q", "-d", "runs", "--", "python", "p.py").returncode == 0
    shown = json.loads(datastall(tmp_path, "show", "--dir", "runs", "--json").stdout)
    (loader,) = shown["loaders"]
    answer = loader["predicted"]
    assert answer["says"] is None
    assert abs(answer["replay_error"]) <= 0.1
    now, best = (answer[one] for one in ("measured", "best"))
    now, best = (one["window_s"]["mean"] for one in (now, answer["settings"][best]))
    after = (loader["window_end_ns"] - loader["window_start_ns"]) * 1e-9 - now
    assert 2 - ended <= after + 0.05 < 2.5 - ended
    assert best > ended  # the validations
    if "num_workers=" in (loader["why"]["suggestion"] or ""):  # else others have the CPUs
        gain = re.search(r"([0-9.]+)x faster \(", loader["why"]["suggestion"])
        assert float(gain[1]) == pytest.approx((now + after) / (best + after), abs=0.01)
    else:
        assert (loader["why"]["host"]["others_cpus"] or 0) > 0.5, loader["why"]


def test_two_batches_are_too_few(tmp_path):
    answer = run_of(tmp_path, PROGRAM.replace("480", "16"))
    assert answer["says"] == "too few batches were recorded to tell what one costs"
    assert answer["settings"] == []
    assert answer["measured"] is None
    told = datastall(tmp_path, "predict", "--dir", "runs")
    assert "no prediction: too few batches" in told.stdout
    assert "--set" not in told.stdout  # nothing to try


@pytest.mark.parametrize("samples", [1, 8])
def test_one_batch_is_too_few(tmp_path, samples):
    answer = run_of(tmp_path, PROGRAM.replace("480", str(samples)))
    assert answer["says"] == "too few batches were recorded to tell what one costs"
    assert answer["settings"] == []


def test_a_run_that_was_killed_at_once_has_no_batches(tmp_path):
    program = PROGRAM.replace("    time.sleep(0.001)", "    os.kill(os.getpid(), 9)")
    (tmp_path / "q.py").write_text("import os" + program)
    datastall(tmp_path, "run", "-q", "-d", "runs", "--", "python", "q.py")
    answer = predicted(tmp_path)
    assert answer["says"] is not None
    assert answer["settings"] == []
    assert answer["measured"] is None


def test_a_loader_that_changes_its_workers_is_two_loaders(tmp_path):
    """Each is predicted from the batches that it made with its own number of them."""
    program = PROGRAM.replace("for batch in DataLoader(Items(), 8, num_workers=1):\n", "")
    program = program.replace(
        "    time.sleep(0.001)\n",
        "loader = DataLoader(Items(), 8, num_workers=1)\n"
        "for loader.num_workers in (1, 2):\n"
        "    for batch in loader: time.sleep(0.001)\n",
    )
    (tmp_path / "q.py").write_text(program)
    ended = datastall(tmp_path, "run", "-q", "-d", "runs", "--", "python", "q.py")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(datastall(tmp_path, "predict", "--dir", "runs", "--json").stdout)
    assert len(told["loaders"]) == 2
    for workers, loader in enumerate(told["loaders"], 1):
        answer = loader["predicted"]
        if "replayed" in (answer["says"] or ""):  # a busy machine may make it miss
            continue
        assert answer["says"] is None
        assert answer["measured"]["num_workers"] == workers


def test_a_loop_by_hand_has_no_batches_to_replay(tmp_path):
    answer = run_of(
        tmp_path,
        "import datastall\nfor x in datastall.watch(range(40), name='mine'): pass",
    )
    assert "is not known" in answer["says"] or "nothing was recorded of single" in answer["says"]


def test_a_run_cut_short_is_told(runs, tmp_path):
    """The section with the batches is gone: that is said, and nothing is predicted."""
    shutil.copytree(runs / "runs", tmp_path / "runs")
    (file,) = [f for f in (tmp_path / "runs").glob("*/*.dsrun") if f.name[0].isdigit()]
    with file.open("r+b") as cut:
        cut.truncate(file.stat().st_size - (6 << 17))
    told = datastall(tmp_path, "predict", "--dir", "runs", "--json")
    assert told.returncode == 3
    assert "is cut short" in told.stderr
    (loader,) = json.loads(told.stdout)["loaders"]
    assert "its batches were not recorded one by one" in loader["predicted"]["says"]


def test_compare_says_what_was_predicted(runs, tmp_path):
    """Of the setting that the second run took, from the first run, beside what was measured."""
    (first,) = (runs / "runs").iterdir()
    shutil.copytree(first, tmp_path / "runs" / "first")
    (tmp_path / "p.py").write_text(LONG_ITEMS)
    setting = ("--set", "num_workers=3", "--set", "prefetch_factor=4")
    for name, settings in (("other", setting), ("same", ())):
        words = ("run", "-q", "-d", "runs", "--name", name, *settings, "--", "python", "p.py")
        assert datastall(tmp_path, *words).returncode == 0
    told = datastall(tmp_path, "compare", "--dir", "runs", "--json", "first", "other").stdout
    (loader,) = json.loads(told)["loaders"]
    promise = loader["predicted"]
    assert promise["says"] is None
    assert (promise["num_workers"], promise["prefetch_factor"]) == (3, 4)
    assert promise["persistent_workers"] is False
    ratio = promise["throughput_ratio"]
    assert 1 < ratio["lower"] <= ratio["mean"] <= ratio["upper"] < 4
    assert promise["measured_ratio"] > 0
    text = " ".join(
        datastall(tmp_path, "compare", "--dir", "runs", "first", "other").stdout.split()
    )
    assert f"num_workers=3, prefetch_factor=4: from the first run, {ratio['mean']:.2f}x" in text
    assert f"measured: {promise['measured_ratio']:.2f}x" in text
    told = datastall(tmp_path, "compare", "--dir", "runs", "--json", "first", "same").stdout
    assert json.loads(told)["loaders"][0]["predicted"] is None
    told = datastall(tmp_path, "compare", "--dir", "runs", "first", "same").stdout
    assert "PREDICT" not in told
