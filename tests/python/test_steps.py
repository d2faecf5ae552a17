# SPDX-License-Identifier: Apache-2.0
"""Where the time of a step goes: real training programs of every kind, by the host's clock."""

from __future__ import annotations

import dis
import json
import os
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest
from conftest import build_fake
from support import (
    PYTHON,
    Ended,
    bring,
    command,
    datastall,
    line_of,
    only,
    recorded,
    shown,
    shown_text,
    write,
)

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
    assert [steps["copies"][key] for key in ("bytes", "s", "hidden_s")] == [None] * 3
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
    "closure": {"steps": 12, "gradients": 0},
    "inference": {"steps": 12, "forward": 0},
    "evaluation_between": {"steps": 18, "forward": 12},
    "checkpoints": {"steps": 12, "forward": 12},
    "rematerialised": {"steps": 12, "forward": 12},
    "gradients_by_hand": {"steps": 12, "forward": 12, "optimizer": 0},
    "failing_optimizer": {"steps": 12, "forward": 12},
    "failing_backward": {"steps": 12, "forward": 12},
    "stated": {"steps": 6, "forward": 5},
}


#: By the name of a program, what it printed without datastall and with it, and its steps.
Trained = dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]


def printed_by_each(ended: Ended) -> dict[str, tuple[int, dict[str, Any]]]:
    """The process of each program, and what it printed."""
    assert ended.code == 0, ended.err
    lines = [json.loads(line) for line in ended.out.splitlines()]
    heads, bodies = lines[::2], lines[1::2]
    return {head["kind"]: (head["pid"], body) for head, body in zip(heads, bodies, strict=True)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """All programs, each as a process of one run, of which the others are then taken away."""
    folder = tmp_path_factory.mktemp("trained")
    bring(folder, "steps.py")
    kinds = [*EXPECTED, "compiled", "compiled_optimizer"]
    plain = printed_by_each(command([PYTHON, "steps.py", *kinds], folder))
    under = printed_by_each(recorded(folder, "steps.py", *kinds))
    found = {}
    for kind, (pid, printed) in under.items():
        alone = folder / "alone" / f"20260101-000000-{kind}"
        alone.mkdir(parents=True)
        shutil.copy(only(list(folder.glob(f"datastall-runs/*/{pid}-*.dsrun"))), alone)
        found[kind] = (plain[kind][1], printed, shown(folder, str(alone))["steps"])
    return found


@pytest.mark.parametrize("kind", EXPECTED)
def test_phases(trained: Trained, kind: str) -> None:
    plain, under, steps = trained[kind]
    assert under == plain  # to the last bit of the weights
    assert_whole(steps)
    phases = phases_of(steps)
    expected = dict(EXPECTED[kind])
    assert steps["count"] == expected.pop("steps")
    assert steps["counted_by"] == ("step()" if kind == "stated" else "batches")
    wanted = {name: plain.get(name, 0) for name in ("backward", "optimizer", "checkpoint")}
    wanted["no_backward"] = plain.get("no_backward", 0)
    if kind == "closure":
        expected["forward"] = plain["backward"]
    assert {name: phases[name]["count"] for name in {**wanted, **expected}} == wanted | expected


def test_a_program_by_itself(tmp_path: Path) -> None:
    """Where the hooks come with PyTorch into the process that trains, not into its parent."""
    bring(tmp_path, "steps.py")
    recorded(tmp_path, "steps.py", "plain")
    steps = shown(tmp_path)["steps"]
    assert_whole(steps)
    assert steps["count"] == phases_of(steps)["optimizer"]["count"] == 24


def test_a_compiled_model(trained: Trained) -> None:
    """Tracing it for its backward enters torch's engine once more."""
    plain, under, steps = trained["compiled"]
    assert under == plain
    assert_whole(steps)
    phases = phases_of(steps)
    assert phases["backward"]["count"] in (12, 13)
    assert phases["forward"]["count"] == phases["backward"]["count"]
    assert phases["optimizer"]["count"] == phases["gradients"]["count"] == 3


def test_a_compiled_optimizer_is_as_it_is_without(trained: Trained) -> None:
    """Its phase may not show, and nothing of ours is in its graph."""
    plain, under, steps = trained["compiled_optimizer"]
    assert under == plain
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


@pytest.mark.parametrize("fetches", [False, True])
def test_the_thread_that_trains(tmp_path: Path, fetches: bool) -> None:
    """Its waits are the program's, as Ray trains; those of a thread that fetches are not."""
    write(
        tmp_path,
        "threaded.py",
        """
        import queue, sys, threading, time
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Slow(Dataset):
            def __len__(self):
                return 20
            def __getitem__(self, i):
                time.sleep(0.05)
                return torch.full((8,), float(i))

        def fetched():
            "The batches of a thread of its own."
            batches = queue.Queue(4)
            def fetch():
                for batch in DataLoader(Slow(), 2, num_workers=1):
                    batches.put(batch)
                batches.put(None)
            threading.Thread(target=fetch).start()
            return iter(batches.get, None)

        def train():
            model = torch.nn.Linear(8, 1)
            optimizer = torch.optim.SGD(model.parameters(), 1e-3)
            for batch in fetched() if FETCHES else DataLoader(Slow(), 2, num_workers=1):
                model(batch).sum().backward()
                optimizer.step()

        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
        """.replace("FETCHES", str(fetches)),
    )
    recorded(tmp_path, "threaded.py")
    run_ = shown(tmp_path)
    assert only(run_["loaders"])["why"]["primary"] == "blocked"
    process = only(run_["processes"])
    assert process["upper_bound"] is fetches
    assert (process["input_stall_lower_s"] > 0.5) is not fetches
    assert ("because a background thread waited" in shown_text(tmp_path)) is fetches
    assert (phases_of(run_["steps"])["input"]["host_s"] > 0.5) is not fetches


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


#: A GPU whose clock stands: it has work from work() to done(), and the program waits for it in a C
#: function that is called as torch's are.
ON_A_GPU = """
    import ctypes, time
    import torch
    from torch.utils.data import DataLoader
    import datastall
    from datastall import _core

    cuda = ctypes.CDLL("libcuda.so.1", mode=ctypes.RTLD_GLOBAL)
    cuda.fake_cuda_advance(ctypes.c_uint64(0))
    _core.set_gpu_questions(lambda device: 0, lambda: True)
    torch.cuda.is_initialized = lambda: True

    def work():
        cuda.fake_cuda_work(None, ctypes.c_uint64(1000))

    def done():
        cuda.fake_cuda_advance(ctypes.c_uint64(2000))

    class Loss:
        item = to = cpu = staticmethod(time.sleep)

    class Optimizer(torch.optim.SGD):
        def step(self, closure=None):
            time.sleep(0.02)

    loss, batches = Loss(), DataLoader(torch.ones(1000, 4), batch_size=4)
    model = torch.nn.Linear(4, 1)
    optimizer = Optimizer(model.parameters(), lr=0.1)

    def phase(name):
        steps = datastall.summary().get("steps", {"phases": []})
        return next((p for p in steps["phases"] if p["name"] == name), {"starved_s": None})

    def enough():
        # Each is a condition that comes true however slow the machine is.
        told = [phase(name)["starved_s"] is not None for name in ("optimizer", "forward")]
        calls = datastall.summary()["steps"]["blocking_calls"] if all(told) else []
        return all(told) and sum(call["seen"] >= 8 for call in calls) >= LINES
"""


def on_a_gpu(tmp_path: Path, fake_nvml: Any, loop: str, lines: int) -> dict[str, Any]:
    source = textwrap.dedent(ON_A_GPU).replace("LINES", str(lines)) + textwrap.dedent(loop)
    (tmp_path / "program.py").write_text(source)
    extra = fake_nvml("devices 1", library="nvml-cuda")
    recorded(tmp_path, "program.py", extra=extra, options=("--steps", "on"))
    return shown(tmp_path)["steps"]


def test_what_starves_and_what_blocks(tmp_path: Path, fake_nvml: Any) -> None:
    steps = on_a_gpu(
        tmp_path,
        fake_nvml,
        """
        for x in batches:
            work()
            time.sleep(0.01)
            loss.item(0.04)  # blocks
            model(x).sum().backward()
            done()
            optimizer.step()
            if enough():
                break
        """,
        1,
    )
    phases = phases_of(steps)
    assert steps["method"] == "queue"
    forward = phases["forward"]
    # It begins a moment before its work, at which a busy machine may stop the program.
    assert forward["starved_s"] < 0.3 * forward["host_s"]
    assert forward["gpu_s"] == pytest.approx(forward["host_s"] - forward["starved_s"])
    assert phases["optimizer"]["starved_s"] == pytest.approx(phases["optimizer"]["host_s"])
    assert phases["optimizer"]["gpu_s"] == pytest.approx(0, abs=1e-9)
    assert phases["forward"]["starved_error_s"] > 0  # none was seen, which is not never
    (call,) = steps["blocking_calls"]
    assert call["what"] == "item" and call["phase"] == "forward" and call["seen"] > 0
    assert call["where"] == line_of(tmp_path / "program.py", "blocks")
    assert 0 < call["s"] <= phases["forward"]["host_s"]
    assert call["starved_s"] < 0.3 * call["s"]  # a look that was stopped on its way, now and then
    assert phases["forward"]["blocked_s"] == pytest.approx(call["s"])
    assert steps["text"].startswith("GPU idle ")
    assert "in optimizer" in steps["text"]
    assert any("fused=True" in advice for advice in steps["try"])
    assert any(call["where"] in advice for advice in steps["try"])


def test_work_of_the_program(tmp_path: Path, fake_nvml: Any) -> None:
    """What the program does by itself is no launch, and no advice on the model helps."""
    steps = on_a_gpu(
        tmp_path,
        fake_nvml,
        """
        def worked():
            lines = datastall.summary().get("steps", {"working_lines": []})["working_lines"]
            return any(line["seen"] >= 8 for line in lines)

        for x in batches:
            done()
            end = time.monotonic() + 0.05
            while time.monotonic() < end:
                sum(range(20_000))  # works
            work()
            model(x).sum().backward()
            if worked():
                break
        """,
        0,
    )
    line = steps["working_lines"][0]
    assert line["where"] == line_of(tmp_path / "program.py", "works")
    assert line["phase"] == "forward" and line["seen"] >= 8
    assert 0 < line["starved_s"] <= line["s"] <= phases_of(steps)["forward"]["host_s"]
    assert f"the program's own code at {line['where']}" in steps["text"]
    assert any(f"do less at {line['where']}: " in advice for advice in steps["try"])
    assert not any("torch.compile(model" in advice for advice in steps["try"])


def test_metrics(tmp_path: Path, fake_nvml: Any) -> None:
    """What `serve` says by phase is what `show` says, and from it follows what starved."""
    steps = on_a_gpu(
        tmp_path,
        fake_nvml,
        """
        for x in batches:
            work()
            time.sleep(0.01)
            model(x).sum().backward()
            done()
            optimizer.step()
            if enough():
                break
        """,
        0,
    )
    exported = datastall("export", "--dir", "datastall-runs", folder=tmp_path).out
    assert f'datastall_steps_total{{run="{shown(tmp_path)["run"]["id"]}"}} {steps["count"]}\n' in (
        exported
    )

    def by_phase(metric: str) -> dict[str, float]:
        found = re.findall(rf'{metric}_total\{{.*phase="(\w+)".*\}} (\S+)', exported)
        return {name: float(value) for name, value in found}

    seconds, times = by_phase("step_phase_seconds"), by_phase("step_phases")
    asked, empty = by_phase("step_gpu_questions"), by_phase("step_gpu_empty_answers")
    for name, phase in phases_of(steps).items():
        assert times.get(name, 0) == phase["count"]
        if phase["count"] > 0:
            assert seconds[name] == pytest.approx(phase["host_s"])
        if phase["starved_s"] is not None:
            starved = seconds[name] * empty[name] / asked[name]
            assert starved == pytest.approx(phase["starved_s"])
    assert asked["optimizer"] == empty["optimizer"] > 0
    # One question may be answered when its phase is over.
    assert empty["forward"] <= 1
    top = datastall("top", "--once", "--dir", "datastall-runs", folder=tmp_path)
    assert steps["text"][:40] in top.out


def test_copies(tmp_path: Path, fake_nvml: Any) -> None:
    """One in the program, and one deep in what it calls."""
    package = tmp_path / "site-packages" / "framework" / "inner.py"
    package.parent.mkdir(parents=True)
    package.write_text("def move(loss):\n    loss.cpu(0.04)\n")
    steps = on_a_gpu(
        tmp_path,
        fake_nvml,
        """
        import sys
        sys.path.append("site-packages")
        from framework.inner import move
        for x in batches:
            work()
            loss.to(0.03) # copies
            done()
            move(loss)
            model(x).sum().backward()
            optimizer.step()
            if enough():
                break
        """,
        2,
    )
    calls = {call["what"]: call for call in steps["blocking_calls"]}
    assert calls["to"]["where"] == line_of(tmp_path / "program.py", "copies")
    assert calls["cpu"]["where"] == "framework/inner.py:2"
    # A look asks the GPU, then who waits; between the two a busy machine may stop it while the
    # program goes on to its other call. That is one look of eight or more, now and then.
    assert calls["to"]["starved_s"] < 0.3 * calls["to"]["s"]
    assert 0.7 * calls["cpu"]["s"] < calls["cpu"]["starved_s"] <= calls["cpu"]["s"] * (1 + 1e-9)
    assert steps["copies"]["s"] == pytest.approx(calls["cpu"]["s"] + calls["to"]["s"])
    assert any("pin_memory=True" in advice for advice in steps["try"])


@pytest.mark.parametrize("why", ["switched off", "something may capture graphs"])
def test_the_gpu_is_not_asked(tmp_path: Path, fake_nvml: Any, why: str) -> None:
    """A question may spoil the capture of a library that brings streams of its own."""
    program = textwrap.dedent(ON_A_GPU) + textwrap.dedent(
        """
        import ctypes, sys

        for name in sys.argv[1:]:
            ctypes.CDLL(name)
        for x in batches:
            work()
            model(x).sum().backward()
            optimizer.step()
            if phase("optimizer")["count"] > 40:
                break
        """
    )
    (tmp_path / "program.py").write_text(program)
    extra = fake_nvml("devices 1", library="nvml-cuda")
    if why == "switched off":
        recorded(tmp_path, "program.py", extra=extra, options=("--steps", "host"))
    else:
        folder = build_fake(tmp_path / "own", "-DBY_NAME", source="capturer.c", soname="own.so")
        recorded(tmp_path, "program.py", str(folder / "own.so"), extra=extra)
    steps = shown(tmp_path)["steps"]
    assert_whole(steps)
    assert (steps["says"] is None) == (why == "switched off")
    assert steps["copies"]["pinned_share"] == 0  # it uses a GPU, and its loader pins nothing


MEMORY = """
    import sys
    stats = {
        "allocated_bytes": {"all": {"current": 5 << 20, "peak": 9 << 20}},
        "reserved_bytes": {"all": {"current": 16 << 20, "peak": 16 << 20}},
        "num_alloc_retries": 2,
    }
    torch._C._cuda_getDevice = lambda: 0
    torch._C._cuda_memoryStats = lambda device: ANSWER
    for x in batches:
        work()
        model(x).sum().backward()
        optimizer.step()
        if phase("optimizer")["count"] > 10:
            break
"""


def test_memory(tmp_path: Path, fake_nvml: Any) -> None:
    steps = on_a_gpu(tmp_path, fake_nvml, MEMORY.replace("ANSWER", "stats"), 0)
    assert steps["memory"] == {
        "allocated_peak_bytes": 9 << 20,
        "reserved_peak_bytes": 16 << 20,
        "allocation_retries": 2,
        "creep_bytes": 0,
    }


ENDS_LATE = """
    bytes = {"all": {"current": 5 << 20, "peak": 9 << 20}}
    stats = {"allocated_bytes": bytes, "reserved_bytes": bytes, "num_alloc_retries": 2}
    torch._C._cuda_getDevice = lambda: 0
    torch._C._cuda_memoryStats = lambda device: stats

    def train(rows):
        for x in DataLoader(rows, batch_size=2):
            work()
            model(torch.as_tensor(x)).sum().backward()
            optimizer.step()
            time.sleep(1.1)  # the allocator is read once a second

    class Broken(list):
        def __getitem__(self, index):
            return super().__getitem__(index) if index < 2 else {}["no such item"]

    for epoch in range(2):
        train(torch.ones(2, 4))
    try:
        train(Broken([torch.ones(4)] * 4))
    except KeyError as error:
        print("raised", error)
"""


def test_a_wait_that_ends_without_a_batch(tmp_path: Path, fake_nvml: Any) -> None:
    """What we ask at the end of a wait does not meet the error with which it ended."""
    source = textwrap.dedent(ON_A_GPU) + textwrap.dedent(ENDS_LATE)
    (tmp_path / "program.py").write_text(source)
    extra = fake_nvml("devices 1", library="nvml-cuda")
    ended = recorded(tmp_path, "program.py", extra=extra, options=("--steps", "on"))
    assert "raised 'no such item'" in ended.out
    assert shown(tmp_path)["steps"]["memory"]["allocated_peak_bytes"] == 9 << 20


@pytest.mark.parametrize("answer", ["1 / 0", "{}", "None", "dict(stats, allocated_bytes=3)"])
def test_an_allocator_that_does_not_tell(tmp_path: Path, fake_nvml: Any, answer: str) -> None:
    steps = on_a_gpu(tmp_path, fake_nvml, MEMORY.replace("ANSWER", answer), 0)
    assert set(steps["memory"].values()) == {None}
    assert steps["count"] > 10


def test_the_option_of_run(tmp_path: Path) -> None:
    bring(tmp_path, "steps.py")
    recorded(tmp_path, "steps.py", "plain", options=("--steps", "off"))
    assert "steps" not in shown(tmp_path)
    refused = datastall("run", "--steps", "none", PYTHON, "steps.py", folder=tmp_path)
    assert refused.code == 2
    assert "--steps is on, host (asks no GPU) or off" in refused.err


OF_CALLS = r"CALL(_KW|_METHOD|_FUNCTION|_FUNCTION_KW)?$"

#: What a frame is calling, at each of its calls in their order.
CALLS = {
    "loss.item()": ["item"],
    "model(x).to(device, non_blocking=True)": ["model", "to"],
    "print(float(loss), a.b.cpu().numpy())": ["float", "cpu", "numpy", "print"],
    "torch.cuda.synchronize()": ["synchronize"],
    "y.copy_(x[0], non_blocking=f(1))": ["f", "copy_"],
}


@pytest.mark.parametrize("source", CALLS)
def test_what_an_instruction_calls(source: str) -> None:
    from datastall import _blocking

    code = compile(source, "program.py", "exec")
    calls = [i.offset for i in dis.get_instructions(code) if re.match(OF_CALLS, i.opname)]
    assert [_blocking.called_at(code, place) for place in calls] == CALLS[source]


def test_code_is_taken_apart_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a microsecond an instruction, with the interpreter's lock in the hand."""
    from datastall import _blocking

    taken: list[Any] = []
    take = dis.get_instructions

    def count(code: Any) -> Any:
        taken.append(code)
        return take(code)

    monkeypatch.setattr(dis, "get_instructions", count)
    quiet = compile("a = b\nc = a.d", "program.py", "exec")
    busy = compile("f(a.g())\nh()", "program.py", "exec")
    for _ in range(2):
        for code in (quiet, busy):
            for place in range(-2, len(code.co_code) + 4, 2):
                _blocking.called_at(code, place)
    assert taken == [busy]
    for number in range(3 * _blocking.MOST_KNOWN):  # bounded, however many there are
        code = compile(f"f{number}()", "program.py", "exec")
        assert f"f{number}" in {_blocking.called_at(code, at) for at in range(0, 20, 2)}
    assert len(_blocking._known) <= _blocking.MOST_KNOWN


def test_what_a_stack_waits_in() -> None:
    from datastall import _blocking

    def waits() -> None:
        loss.item()  # type: ignore[name-defined] # noqa: F821

    def asks() -> None:
        if loss:  # type: ignore[name-defined] # noqa: F821
            pass

    def runs() -> None:
        train(loss)  # type: ignore[name-defined] # noqa: F821

    def last_of(function: Any, name: str) -> tuple[Any, int, int]:
        at = [i.offset for i in dis.get_instructions(function) if i.opname.startswith(name)]
        return function.__code__, 7, at[0]

    def read(*stack: tuple[Any, int, int], at_once: bool = True) -> Any:
        return _blocking.read_stack(list(stack), at_once)

    here = f"{Path(__file__).name}:7"
    assert read(last_of(waits, "CALL")) == ("item", here)
    assert read(last_of(asks, "POP_JUMP")) == ("bool", here)
    frozen = compile("loss.item()", "<frozen importlib>", "exec")  # nobody's line: its caller's
    called = [i.offset for i in dis.get_instructions(frozen) if re.match(OF_CALLS, i.opname)]
    place = called[0]
    assert read((frozen, 1, place), last_of(runs, "CALL")) == ("item", here)
    assert read((frozen, 1, place)) is None
    # An optimizer asks its own counters, which lie on the CPU.
    import torch.nn

    folder = os.path.dirname(torch.__file__)
    counted = compile("step.item()", f"{folder}/optim/adam.py", "exec")
    assert read((counted, 1, place), last_of(runs, "CALL")) is None
    # The program's own code works, by itself or in a library that knows no tensors.
    assert read(last_of(runs, "CALL")) == (None, here)
    assert read(last_of(asks, "POP_JUMP"), at_once=False) == (None, here)  # it ran
    assert read(last_of(waits, "CALL"), at_once=False) is None  # and may have held the lock there
    packages = "/lib/site-packages/thing/"
    sorts = compile("numbers.sort()", packages + "a.py", "exec")
    assert read((sorts, 1, place), last_of(runs, "CALL")) == (None, here)
    assert read((sorts, 1, place)) is None  # nobody's line
    generated = (compile("numbers.sort()", "<string>", "exec"), 0, place)  # no line at all
    assert read(generated, last_of(runs, "CALL")) == (None, here)

    class Name(str):
        def __contains__(self, other: object) -> bool:
            raise AssertionError("code of the program")

        endswith = find = __contains__  # type: ignore[assignment]

    of_its_own = sorts.replace(co_filename=Name(packages + "a.py"))
    assert read((of_its_own, 1, place), last_of(runs, "CALL")) is not None
    launches = compile("torch.sort(numbers)", packages + "b.py", "exec")
    assert read((launches, 1, 0), last_of(runs, "CALL")) is None
    assert read((sorts, 1, place), (launches, 1, 0), last_of(runs, "CALL")) is None  # a framework's
    # A module's call launches kernels, and so does whatever torch does.
    assert _blocking.OF_MODULES in torch.nn.Module._call_impl.__code__.co_filename
    called = (torch.nn.Module._call_impl.__code__, 1, 0)
    assert read(last_of(runs, "CALL"), called, last_of(runs, "CALL")) is None
    assert read((torch.nn.functional.relu.__code__, 1, 0), last_of(runs, "CALL")) is None
