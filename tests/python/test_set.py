# SPDX-License-Identifier: Apache-2.0
"""`run --set`: another value for an argument of DataLoader's constructor, and nothing else."""

from __future__ import annotations

import inspect
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from datastall import _settings
from support import completed
from torch.utils.data import DataLoader

PROGRAM = """
import torch
from torch.utils.data import DataLoader, Dataset
class Items(Dataset):
    def __len__(self): return 24
    def __getitem__(self, i): return torch.tensor(i)
class Others(Items): pass
def total(loader): return sum(int(batch.sum()) for batch in loader)
print(total(DataLoader(Items(), 4, False, num_workers=1)))
print(total(DataLoader(Others(), batch_size=4, num_workers=2, persistent_workers=True)))
"""


def run(folder: Path, *sets: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    (folder / "p.py").write_text(program)
    words = [word for one in sets for word in ("--set", one)]
    argv = ["datastall", "run", *words, "-d", str(folder / "runs"), "--", "python", "p.py"]
    return completed(argv, folder)


def loaders(folder: Path) -> dict[str, Any]:
    shown = completed(["datastall", "show", "--json", "--dir", "runs"], folder)
    assert shown.returncode == 0, shown.stderr
    return {one["dataset_type"]: one for one in json.loads(shown.stdout)["loaders"]}


def test_every_loader_takes_it(tmp_path):
    ended = run(tmp_path, "num_workers=3", "prefetch_factor=5")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "276\n276\n"
    assert "sets num_workers=3 prefetch_factor=5" in ended.stderr
    for one in loaders(tmp_path).values():
        assert (one["num_workers"], one["prefetch_factor"], one["batch_size"]) == (3, 5, 4)


def test_one_by_its_data_set_and_one_by_its_line(tmp_path):
    ended = run(tmp_path, "Others:num_workers=0", "p.py:9:prefetch_factor=3")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "276\n276\n"
    found = loaders(tmp_path)
    # Without workers torch refuses to keep them: that is left out.
    assert found["Others"]["num_workers"] == 0
    assert not found["Others"]["persistent_workers"]
    assert (found["Items"]["num_workers"], found["Items"]["prefetch_factor"]) == (1, 3)


def test_what_is_set_for_nobody_is_said(tmp_path):
    ended = run(tmp_path, "p.py:99:num_workers=0", "Other:pin_memory=true", "Others:num_workers=1")
    assert ended.returncode == 0, ended.stderr
    said = [line for line in ended.stderr.splitlines() if "nothing was set for it" in line]
    there = "; there was p.py:9 (Items), p.py:10 (Others)"
    assert [line.split("--set ")[1].split(":")[0] for line in said] == ["p.py", "Other"]
    assert "--set p.py:99: no DataLoader of that line or data set was iterated" in said[0]
    assert all(line.endswith(there) for line in said), said


def test_what_the_program_is_refused_is_its_own_error(tmp_path):
    program = PROGRAM.replace("num_workers=1", "num_workers=-1")
    ended = run(tmp_path, "prefetch_factor=2", program=program)
    assert ended.returncode == 1
    assert "num_workers option should be non-negative" in ended.stderr


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("batch_size=3", "which batches there are depends on batch_size; --set takes num_workers"),
        ("shuffle=true", "which batches there are depends on shuffle"),
        ("wings=2", "DataLoader takes no argument wings; --set takes num_workers"),
        ("num_workers", "write [NAME:]ARGUMENT=VALUE"),
        ("num_workers=many", "takes a whole number from 0 to 1024, not 'many'"),
        ("num_workers=1025", "takes a whole number from 0 to 1024"),
        ("num_workers=-1", "takes a whole number"),
        ("prefetch_factor=0", "takes a whole number from 1 to 1024"),
        ("pin_memory=perhaps", "takes true or false, not 'perhaps'"),
        ("multiprocessing_context=thread", "takes fork, spawn or forkserver"),
        ("x" * 250 + ":num_workers=1", "--set: too long"),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path, setting, sentence):
    ended = run(tmp_path, setting)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_names_may_have_colons():
    (setting,) = _settings.parse("train.py:41 fit():num_workers=6")
    assert setting == _settings.Setting("train.py:41 fit()", "num_workers", 6)
    assert [one.value for one in _settings.parse("pin_memory=True\nin_order=False")] == [
        True,
        False,
    ]


def wrapped(text: str, said: list[str], original: Any = None) -> Any:
    init = original or vars(DataLoader)["__init__"]
    init = getattr(init, "__wrapped__", init)
    return type(
        "Loader",
        (DataLoader,),
        {"__init__": _settings.wrap(init, _settings.parse(text), said.append)},
    )


def test_an_older_torch_without_the_argument():
    """What this constructor does not have is said once, and not passed."""

    def old(self: Any, dataset: Any, batch_size: int = 1, num_workers: int = 0) -> None:
        self.took = (batch_size, num_workers)

    said: list[str] = []
    loader = wrapped("in_order=False\nnum_workers=2", said, old).__new__(
        wrapped("in_order=False\nnum_workers=2", said, old)
    )
    type(loader).__init__(loader, range(3), 2)
    assert loader.took == (2, 2)
    assert said == ["this PyTorch's DataLoader has no in_order: it is not set"]


def test_positional_arguments_are_replaced():
    loader = wrapped("num_workers=2", [])(range(8), 4, False, None, None, 0)
    assert loader.num_workers == 2
    assert _settings.took(loader)


def test_a_wrong_call_is_the_programs():
    with pytest.raises(TypeError, match="wings"):
        wrapped("num_workers=2", [])(range(8), wings=1)


def test_a_daemon_keeps_its_own(monkeypatch):
    monkeypatch.setattr(_settings, "_cannot_have_workers", lambda: True)
    loader = wrapped("num_workers=2", [])(range(8))
    assert loader.num_workers == 0
    assert not _settings.took(loader)


def test_the_signature_stays():
    original = vars(DataLoader)["__init__"]
    assert inspect.signature(wrapped("num_workers=1", []).__init__) == inspect.signature(original)


def test_nothing_is_set_where_nothing_is_said(tmp_path):
    """Not by what stands in the environment around `run` either."""
    (tmp_path / "p.py").write_text(PROGRAM)
    argv = ["datastall", "run", "-q", "-d", "runs", "--", "python", "p.py"]
    ended = completed(argv, tmp_path, {"DATASTALL_SET": "num_workers=7"})
    assert ended.returncode == 0, ended.stderr
    assert {one["num_workers"] for one in loaders(tmp_path).values()} == {1, 2}
