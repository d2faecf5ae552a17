# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: where a step's time goes, against marks and a kernel trace.

Fourteen programs (step_programs.py), each in a process of its own, one of them in two ranks. The
truth of a phase's time are marks around the same places (step_marks.py); of the GPU's idle time in
it, the part of the marked time in which no kernel and no copy ran, by torch.profiler's trace. Two
kinds of it may count as either: up to 5 us of each gap, in which the next launch is on its way or
the end of what ran was not yet told, so the queue is not empty; and a copy from memory that is not
pinned, for which the GPU works and nothing is queued. A program passes when each phase's share is
within 3 points of the marks', the idle share of each within 3 points of the trace's (and two
standard errors of what datastall says of itself), and when the cause that was planted is named. A
framework that is not installed is left out, and what needs more GPUs than there are.

python tests/gpu/check_steps.py [SECONDS [PROGRAM...]]

STEP_DEVICE=cpu compares the host's times alone, on any machine.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

import torch
from checks import forget_run, gpu_count, need_gpus, program_name, torchrun
from gpu_loops import gpu_work, idle_inside, union
from step_marks import mark_everything, phases
from step_programs import DEVICE, PLANTED, PROGRAMS, RANKS
from torch.profiler import ProfilerActivity, profile

POINTS = 3.0
#: Of a gap between two kernels. On an H200 the queue told 2 to 5 us a gap less than the trace.
NOT_TOLD_NS = 5_000
#: How the line of one process or rank begins.
MEASURED = '{"truth": '
NEEDS = {"HF Trainer": "transformers", "Lightning": "lightning", "accelerate": "accelerate"}


def truth_of(trace: Any) -> dict[str, Any]:
    """By phase: its share and the GPU's idle share in it, of the time that the marks cover."""
    not_told = [(begin, end + NOT_TOLD_NS) for begin, end in gpu_work(trace)]
    busy, queued = union(not_told, 0), union(gpu_work(trace, pageable=False), 0)
    parts: dict[str, list[tuple[int, int]]] = {}
    for name, begin, end in phases():
        parts.setdefault(name, []).append((begin, end))
    whole = sum(end - begin for each in parts.values() for begin, end in each)
    return {
        name: {
            "share": sum(end - begin for begin, end in each) / whole,
            "idle": idle_inside(sorted(each), busy) / whole,
            "idle_most": idle_inside(sorted(each), queued) / whole,
        }
        for name, each in parts.items()
    }


def measure(name: str, seconds: float) -> None:
    """In a process of its own: prints what the marks and datastall say, as JSON."""
    import datastall
    from datastall import _steps

    forget_run()
    torch.zeros(1, device=DEVICE)  # CUDA is in use before the first wait
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATASTALL_STEPS"] = "on"
        datastall.install(folder)
        _steps.patch()  # what it does at the first iter(): the marks go around it
        mark_everything()
        kind = ProfilerActivity.CUDA if DEVICE == "cuda" else ProfilerActivity.CPU
        with profile(activities=[kind]) as trace:
            PROGRAMS[name](seconds)
            if DEVICE == "cuda":
                torch.cuda.synchronize()
        document = datastall.summary()
    ours = {key: document["steps"][key] for key in ("phases", "blocking_calls", "text", "method")}
    gpu = next(iter(document["gpus"]), {})
    print(json.dumps({"truth": truth_of(trace), "ours": ours, "idle": gpu.get("idle")}))


def idle_of(true: dict[str, float]) -> str:
    least, most = (100 * true[key] for key in ("idle", "idle_most"))
    return f"{least:.1f}" if most - least < 0.1 else f"{least:.1f}..{most:.1f}"


def differences(truth: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """What is further apart than it may be."""
    found = []
    for phase in ours["phases"]:
        true = truth.get(phase["name"], {"share": 0.0, "idle": 0.0, "idle_most": 0.0})
        apart = 100 * abs((phase["share"] or 0.0) - true["share"])
        if apart > POINTS:
            found.append(f"{phase['name']} is {apart:.1f} points of the time apart")
        if phase["starved_s"] is None:
            continue
        window_s = sum(each["host_s"] for each in ours["phases"])
        idle, error = phase["starved_s"] / window_s, phase["starved_error_s"] / window_s
        apart = max(true["idle"] - idle, idle - true["idle_most"])
        if 100 * apart > POINTS + 200 * error:
            found.append(f"{phase['name']} idle {100 * idle:.1f} not {idle_of(true)}")
    return found


def planted(name: str, ours: dict[str, Any]) -> list[str]:
    if name not in PLANTED or (DEVICE == "cpu" and PLANTED[name][0] == "blocking_calls"):
        return []
    key, what = PLANTED[name]
    if key == "blocking_calls":
        named = any(call["what"] == what for call in ours["blocking_calls"])
    else:
        named = any(each["name"] == what and each["count"] > 0 for each in ours["phases"])
    return [] if named else [f"{what} is not named"]


def check(name: str, seconds: float) -> bool:
    launcher = torchrun(RANKS[name]) if name in RANKS else [sys.executable]
    command = [*launcher, __file__, str(seconds), "--one", name]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        print(f"{name:<28} FAILED\n{ended.stderr[-1500:]}")
        return False
    found = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith(MEASURED)]
    assert len(found) == RANKS.get(name, 1), ended.stdout
    return all([compare(name, each["truth"], each["ours"]) for each in found])


def compare(name: str, truth: dict[str, Any], ours: dict[str, Any]) -> bool:
    window_s = sum(phase["host_s"] for phase in ours["phases"])
    parts = []
    for phase in ours["phases"]:
        true = truth.get(phase["name"], {"share": 0.0, "idle": 0.0, "idle_most": 0.0})
        if phase["count"] == 0 and true["share"] == 0:
            continue
        starved = phase["starved_s"]
        idle = "?" if starved is None else f"{100 * starved / window_s:.1f}"
        parts.append(
            f"{phase['name']} {100 * phase['share']:.1f}/{100 * true['share']:.1f}"
            f" idle {idle}/{idle_of(true)}"
        )
    wrong = differences(truth, ours) + planted(name, ours)
    print(f"{name:<28} {', '.join(parts)}; {'ok' if not wrong else 'DIFFERS: ' + '; '.join(wrong)}")
    print(f"{'':<28} {ours['text']}", flush=True)
    return not wrong


def can_run(name: str) -> bool:
    fits = DEVICE == "cpu" or gpu_count() >= RANKS.get(name, 1)
    return fits and bool(importlib.util.find_spec(NEEDS.get(name, "torch")))


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 12.0
    if sys.argv[2:3] == ["--one"]:
        measure(sys.argv[3], seconds)
        return 0
    if DEVICE == "cuda":
        need_gpus(1)
    where = program_name() if DEVICE == "cuda" else "CPU"
    print(f"{where}; shares of the steps' time in percent, ours/truth")
    names = sys.argv[2:] or [name for name in PROGRAMS if can_run(name)]
    failed = [name for name in names if not check(name, seconds)]
    left_out = len(PROGRAMS) - len(names)
    print(f"{len(names) - len(failed)} of {len(names)} programs agree; {left_out} left out")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
