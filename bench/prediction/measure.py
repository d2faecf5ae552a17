# SPDX-License-Identifier: Apache-2.0
"""Runs every program with every setting, and keeps the runs: ``measure.py FOLDER [PROGRAM ...]``.

Each runs on CPUs of its own (--width); --lanes says how many beside one another. What was measured
is in FOLDER/measured.json, [{program, setting, repeat, run, samples_per_s}]; check.py compares.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: (num_workers, prefetch_factor); what a program does by itself is run as well.
SETTINGS = [(0, None), (1, 2), (2, 2), (3, 2), (4, 2), (2, 1), (2, 6)]


def words(setting: tuple[int, int | None] | None) -> list[str]:
    if setting is None:
        return []
    workers, prefetch = setting
    out = ["--set", f"num_workers={workers}"]
    return out if prefetch is None else [*out, "--set", f"prefetch_factor={prefetch}"]


def samples_per_s(run: Path) -> float | None:
    """None: the run has no loader, or does not know its samples."""
    shown = subprocess.run(
        ["datastall", "show", "--json", str(run)], capture_output=True, text=True, check=True
    )
    loaders = json.loads(shown.stdout)["loaders"]
    if not loaders or loaders[0]["samples"] is None:
        return None
    return loaders[0]["samples"] / loaders[0]["why"]["active_s"]


def command_of(program: str, module: str) -> list[str]:
    """A program of a module here, or a file of a folder."""
    if Path(module).is_dir():
        return [sys.executable, str(Path(module) / f"{program}.py")]
    return [sys.executable, str(HERE / f"{module}.py"), program]


def measure(job: tuple, folder: Path, module: str, cpus: set[int]) -> dict:
    program, setting, repeat = job
    name = f"{program}-{'as-is' if setting is None else '-'.join(map(str, setting))}-{repeat}"
    target = folder / name
    command = ["datastall", "run", "-q", "-d", str(target), *words(setting), "--"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*command, *command_of(program, module)],
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if ended.returncode != 0:
        return {"program": program, "setting": setting, "repeat": repeat, "error": ended.stderr}
    (run,) = target.iterdir()
    told = {"program": program, "setting": setting, "repeat": repeat}
    speed = samples_per_s(run)
    if speed is None:
        return {**told, "error": "its samples are not known"}
    return {**told, "run": str(run.relative_to(folder)), "samples_per_s": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--module", default="programs", help="here, or a folder of programs")
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--first-cpu", type=int, default=0)
    parser.add_argument("--width", type=int, default=2, help="CPUs of a lane")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3600)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    programs, settings = options.programs, SETTINGS
    if not Path(options.module).is_dir():
        module = importlib.import_module(options.module)
        programs = programs or list(module.PROGRAMS)
        settings = getattr(module, "SETTINGS", SETTINGS)
    options.folder.mkdir(parents=True, exist_ok=True)
    jobs: queue.SimpleQueue = queue.SimpleQueue()
    for repeat in range(options.repeats):
        for setting in [None, *settings]:
            for program in programs:
                jobs.put((program, setting, repeat))
    done: list[dict] = []
    end = time.monotonic() + options.seconds

    def work(lane: int) -> None:
        first = options.first_cpu + options.width * lane
        cpus = set(range(first, first + options.width))
        while time.monotonic() < end:
            try:
                job = jobs.get_nowait()
            except queue.Empty:
                return
            done.append(measure(job, options.folder, options.module, cpus))

    lanes = [threading.Thread(target=work, args=(lane,)) for lane in range(options.lanes)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    (options.folder / "measured.json").write_text(json.dumps(done, indent=1))
    failed = [one for one in done if "error" in one]
    print(f"{len(done)} runs, {len(failed)} failed, {jobs.qsize()} not made")
    for one in failed[:5]:
        print(one["program"], one["setting"], one["error"].strip().splitlines()[-1:])


if __name__ == "__main__":
    main()
