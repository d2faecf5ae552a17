# SPDX-License-Identifier: Apache-2.0
"""`datastall compare`: exit codes, the JSON, and how runs are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support import datastall, only, recorded, run_folders, write

#: Seven whole seconds, whatever the machine does: five are needed.
LONG = """
    import time
    import datastall

    def items():
        until = time.monotonic() + 8
        while time.monotonic() < until:
            time.sleep(0.02)
            yield [0] * 4

    for _ in datastall.watch(items(), name="items"):
        pass
"""
SHORT = LONG.replace("+ 8", "+ 0.1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs named one and two (copies: the same to the last byte), and a short one."""
    place = tmp_path_factory.mktemp("compare")
    write(place, "prog.py", LONG)
    recorded(place, "prog.py", options=["--name", "one"])
    one = only(run_folders(place))
    shutil.copytree(one, one.with_name(one.name.replace("one", "two")))
    write(place, "prog.py", SHORT)
    recorded(place, "prog.py", options=["--name", "short"])
    return place


def test_a_run_and_its_copy(folder: Path) -> None:
    ended = datastall("compare", "one", "two", folder=folder)
    assert (ended.code, ended.said) == (0, [])
    assert "RESULT   no difference that can be told (+0.0 %" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    ended = datastall("compare", "--json", "one", "two", folder=folder)
    told = json.loads(ended.out)
    assert (told["result"], told["reason"]) == ("same", None)
    ratio = told["throughput_ratio"]
    assert 0.5 < ratio["lower"] < ratio["mean"] == 1 < ratio["upper"] < 2
    assert told["window_ratio"] == 1
    assert told["throughput_unit"] == "samples/s"
    assert only(told["loaders"])["name"] == ["items", "items"]
    assert told["stall_share"][0] == told["stall_share"][1] > 0.5


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (["samples/s<-5%"], 0),
        (["samples/s<+5%"], 0),  # no difference can be told
        (["stall>+3", "window>10%"], 0),
        (["stall>-1"], 1),
        (["batches/s<-5%"], 1),  # not known: it is samples that are
        (["samples/s"], 2),
        (["speed<3"], 2),
    ],
)
def test_conditions(folder: Path, conditions: list[str], code: int) -> None:
    arguments = [word for condition in conditions for word in ("--fail-if", condition)]
    ended = datastall("compare", "one", "two", *arguments, folder=folder)
    assert ended.code == code, ended
    assert len(ended.said) == len(conditions)


def test_what_cannot_be_compared(folder: Path) -> None:
    ended = datastall("compare", "one", "short", "--fail-if", "stall>3", folder=folder)
    assert ended.code == 4
    assert "RESULT   not comparable: the second run is too short" in ended.out
    told = json.loads(datastall("compare", "--json", "one", "short", folder=folder).out)
    assert told["result"] == "not_comparable"
    assert "too short" in told["reason"]
    assert told["throughput_ratio"] == {"mean": None, "lower": None, "upper": None}


def test_several_and_the_last_ones(folder: Path) -> None:
    ended = datastall("compare", "--json", "one", "two", "short", folder=folder)
    assert ended.code == 4
    results = [one["result"] for one in json.loads(ended.out)["comparisons"]]
    assert results == ["same", "not_comparable"]
    last = json.loads(datastall("compare", "--json", "--last", "2", folder=folder).out)
    assert [run["name"] for run in last["runs"]] == ["one", "short"]


def test_wrong_usage(folder: Path) -> None:
    for arguments in ([], ["one"], ["--last", "1"], ["--last", "2", "one"], ["--last", "x"]):
        ended = datastall("compare", *arguments, folder=folder)
        assert (ended.code, ended.out) == (2, ""), arguments
        assert ended.said
    assert datastall("compare", "--last", "9", folder=folder).code == 1
    assert datastall("compare", "one", "no-such", folder=folder).code == 1
