# SPDX-License-Identifier: Apache-2.0
"""Where the time of a step goes: real training programs of every kind, by the host's clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import PYTHON, bring, command, datastall, recorded, shown, shown_text, write

PHASES = (
    *("input", "forward", "backward", "gradients", "optimizer"),
    *("checkpoint", "no_backward", "between"),
)


def phases_of(steps: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert [phase["name"] for phase in steps["phases"]] == list(PHASES)
    return {phase["name"]: phase for phase in steps["phases"]}


def assert_whole(steps: dict[str, Any]) -> None:
    """The phases are all of the window, and nothing is said of a GPU that is not there."""
    whole = sum(phase["host_s"] for phase in steps["phases"])
    assert whole == pytest.approx(steps["window_s"], rel=1e-9)
    assert steps["method"] == "host"
    for phase in steps["phases"]:
        assert phase["longest_s"] <= phase["host_s"]
        assert [phase[key] for key in ("gpu_s", "starved_s", "blocked_s")] == [None] * 3
    assert steps["blocking_calls"] == []
    assert set(steps["copies"].values()) == {None}
    assert set(steps["memory"].values()) == {None}
    assert steps["text"] is None and steps["try"] == []


#: What each program does is in its own figures; here what differs from them. A forward ends in each
#: backward; between the first batch and the last there is one less of what lies between.
EXPECTED: dict[str, dict[str, int]] = {
    "plain": {"steps": 24, "forward": 24, "gradients": 24},
    "accumulation": {"steps": 12, "forward": 12, "gradients": 3},
    "scaler": {"steps": 12, "forward": 12, "gradients": 12},
    "two_optimizers": {"steps": 12, "forward": 12, "gradients": 24},
    "gan": {"steps": 12, "forward": 24, "gradients": 24},
    "closure": {"steps": 12, "forward": 12, "gradients": 0},  # the rest is in the optimizer
    "inference": {"steps": 12, "forward": 0},
    "evaluation_between": {"steps": 18, "forward": 12},
    "checkpoints": {"steps": 12, "forward": 12},
    "rematerialised": {"steps": 12, "forward": 12},
    "gradients_by_hand": {"steps": 12, "forward": 12, "optimizer": 0},
    "failing_optimizer": {"steps": 12, "forward": 12},
    "failing_backward": {"steps": 12, "forward": 12},
    "stated": {"steps": 6, "forward": 5},
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_phases(tmp_path: Path, kind: str) -> None:
    bring(tmp_path, "steps.py")
    plain = command([PYTHON, "steps.py", kind], tmp_path).printed()
    under = recorded(tmp_path, "steps.py", kind).printed()
    assert under == plain  # to the last bit of the weights
    steps = shown(tmp_path)["steps"]
    assert_whole(steps)
    phases = phases_of(steps)
    expected = dict(EXPECTED[kind])
    assert steps["count"] == expected.pop("steps")
    assert steps["counted_by"] == ("step()" if kind == "stated" else "batches")
    wanted = {name: plain.get(name, 0) for name in ("backward", "optimizer", "checkpoint")}
    wanted["no_backward"] = plain.get("no_backward", 0)
    assert {name: phases[name]["count"] for name in {**wanted, **expected}} == wanted | expected


def test_a_compiled_model(tmp_path: Path) -> None:
    """Tracing it for its backward enters torch's engine once more."""
    bring(tmp_path, "steps.py")
    plain = command([PYTHON, "steps.py", "compiled"], tmp_path).printed()
    assert recorded(tmp_path, "steps.py", "compiled").printed() == plain
    steps = shown(tmp_path)["steps"]
    assert_whole(steps)
    phases = phases_of(steps)
    assert phases["backward"]["count"] in (12, 13)
    assert phases["forward"]["count"] == phases["backward"]["count"]
    assert phases["optimizer"]["count"] == phases["gradients"]["count"] == 3


def test_a_compiled_optimizer_is_as_it_is_without(tmp_path: Path) -> None:
    """Its phase may not show, and nothing of ours is in its graph."""
    bring(tmp_path, "steps.py")
    plain = command([PYTHON, "steps.py", "compiled_optimizer"], tmp_path).printed()
    assert recorded(tmp_path, "steps.py", "compiled_optimizer").printed() == plain
    steps = shown(tmp_path)["steps"]
    assert_whole(steps)
    assert phases_of(steps)["backward"]["count"] == 12


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    program = write(
        tmp_path,
        "program.py",
        """
        import json
        import steps, torch
        steps.KINDS["checkpoints"]()
        from torch.optim import optimizer
        print(json.dumps([
            type(torch.save).__name__,
            type(torch.autograd._engine_run_backward).__name__,
            len(optimizer._global_optimizer_pre_hooks),
        ]))
        """,
    )
    bring(tmp_path, "steps.py")
    on = recorded(tmp_path, program.name).printed()
    assert on == ["TimedCheckpoint", "TimedBackward", 1]
    assert shown(tmp_path)["steps"]["count"] == 12
    off = recorded(tmp_path, program.name, extra={"DATASTALL_STEPS": "off"}).printed()
    assert off == ["function", "function", 0]
    document = shown(tmp_path)
    assert "steps" not in document
    assert document["loaders"][0]["batches"] == 12


def test_text(tmp_path: Path) -> None:
    bring(tmp_path, "steps.py")
    recorded(tmp_path, "steps.py", "checkpoints")
    text = shown_text(tmp_path)
    assert "STEPS    12, counted by batches; shares of their time by the host's clock\n" in text
    assert " each, 12 times\n" in text and "checkpoint" in text
    assert "GPU idle" not in text


def test_several_threads(tmp_path: Path) -> None:
    """Each that trains by itself; what only fetches batches has no steps."""
    program = write(
        tmp_path,
        "program.py",
        """
        import queue, threading
        import torch
        from torch.utils.data import DataLoader

        def train(batches):
            model = torch.nn.Linear(4, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for x in batches:
                model(x).sum().backward()
                optimizer.step()

        def fetch():
            for x in DataLoader(torch.ones(40, 4), batch_size=4):
                there.put(x)
            there.put(None)

        there = queue.Queue(2)
        fetcher = threading.Thread(target=fetch)
        fetcher.start()
        train(iter(there.get, None))
        fetcher.join()
        print("trained")
        """,
    )
    recorded(tmp_path, program.name)
    steps = shown(tmp_path)["steps"]
    assert steps["counted_by"] == "optimizer" and steps["count"] == 10
    phases = phases_of(steps)
    assert phases["input"]["count"] == 0  # the queue's, which nobody sees: in `forward`
    assert phases["forward"]["count"] == 9 and phases["backward"]["count"] == 10


def test_a_killed_program_leaves_them(tmp_path: Path) -> None:
    program = write(
        tmp_path,
        "program.py",
        """
        import os, signal, time
        import steps
        steps.KINDS["plain"]()
        until = time.monotonic() + 0.2  # some publications
        while time.monotonic() < until:
            steps.KINDS["plain"]()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    bring(tmp_path, "steps.py")
    assert datastall("run", "-q", PYTHON, program.name, folder=tmp_path).code == 128 + 9
    steps = shown(tmp_path)["steps"]
    assert_whole(steps)
    assert steps["count"] >= 24
