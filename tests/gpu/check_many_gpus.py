# SPDX-License-Identifier: Apache-2.0
"""On a machine with NVIDIA GPUs, best with several: starts by the hundred, and ranks on each GPU.

starts: N starts each of `datastall run -- sleep`, of datastall.install() and of gpu_monitor with
    every GPU. Each must end with its own code, and each GPU must be in the run with its figures.
ranks: a rank on each GPU under torchrun, every other one starved; each GPU has its rank's stall.
shared: two ranks on one GPU. What each stalls cannot be added to what the GPU did: where stall and
    busy pass 102 percent the stall must be called a bound.

python tests/gpu/check_many_gpus.py starts|ranks|shared [--starts N] [--parallel N] [--seconds S]
    [--gpus N]

--gpus: so many GPUs are expected in a run, instead of those that CUDA sees (for a fake driver).
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import os
import subprocess
import sys
import tempfile
from typing import Any

from checks import datastall, datastall_path, gpu_count, need_gpus, shown, torchrun

#: The code with which the programs under test end: of their own, so that another one is seen.
CODE = 7

INSTALLED = """
import sys, time
import datastall
datastall.install(sys.argv[1])
for _ in datastall.watch(range(3)):
    time.sleep(float(sys.argv[2]) / 3)
sys.exit(7)
"""

MONITORED = """
import sys, time
from datastall.gpu_monitor import NvitopMonitor
count = int(sys.argv[3])
monitor = NvitopMonitor(list(range(count)), log_interval=0.1, log_file=sys.argv[1] + "/gpu.log")
monitor.start_monitoring()
time.sleep(float(sys.argv[2]))

def known():
    stats = monitor.get_statistics()
    return sum(stats[i]["sample_count"] > 0 and stats[i]["mem_used_peak"] > 0 for i in range(count))

end = time.monotonic() + 30  # a driver may take long to open on a busy machine
while known() < count and time.monotonic() < end:
    time.sleep(0.05)
print(known())
monitor.stop_monitoring()
sys.exit(7)
"""


def complaint(document: dict[str, Any], count: int) -> str:
    """What is missing of the GPUs in a run; empty when nothing is."""
    gpus = document["gpus"]
    if document["gpu_sampling"]["state"] != "ok" or len(gpus) != count:
        return f"{len(gpus)} GPUs, sampling {document['gpu_sampling']}"
    for gpu in gpus:
        if gpu["state"] != "ok" or not gpu["samples"] or gpu["busy_share"] is None:
            told = f"{gpu['state']}, {gpu['samples']} samples, busy share {gpu['busy_share']}"
            return f"GPU {gpu['index']}: {told}"
    return ""


def start_once(kind: str, seconds: float, count: int) -> str:
    """One start; what was wrong with it, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        sleep = f"sleep {seconds}; exit {CODE}"
        command = {
            "run": [datastall_path(), "run", "--quiet", "--dir", folder, "sh", "-c", sleep],
            "install": [sys.executable, "-c", INSTALLED, folder, str(seconds)],
            "gpu_monitor": [sys.executable, "-c", MONITORED, folder, str(seconds), str(count)],
        }[kind]
        environment = {k: v for k, v in os.environ.items() if k != "DATASTALL_RUN_DIR"}
        environment["DATASTALL_DIR"] = folder
        try:
            ended = subprocess.run(
                command, capture_output=True, text=True, timeout=120, env=environment
            )
        except subprocess.TimeoutExpired:
            return "did not end within 120 s"
        if ended.returncode != CODE:
            return f"code {ended.returncode} instead of {CODE}: {ended.stderr[-200:].strip()}"
        if kind == "gpu_monitor":
            known = ended.stdout.strip()
            return "" if known == str(count) else f"figures of {known} GPUs instead of {count}"
        return complaint(shown(folder), count)


def starts(options: argparse.Namespace, count: int) -> int:
    failed = 0
    told = []
    for kind in ("run", "install", "gpu_monitor"):
        with concurrent.futures.ThreadPoolExecutor(options.parallel) as pool:
            work = [
                pool.submit(start_once, kind, options.seconds, count) for _ in range(options.starts)
            ]
            wrong = collections.Counter(each.result() for each in work)
        fine = wrong.pop("", 0)
        failed += options.starts - fine
        told.append(f"{kind} {fine} of {options.starts}")
        for words, times in wrong.most_common(5):
            print(f"{kind}: {times} times: {words}")
    print(f"starts that ended well on {count} GPUs: {', '.join(told)}")
    return 1 if failed else 0


def rank_program(shared: bool, seconds: float) -> None:
    from gpu_loops import feed_or_starve

    rank = int(os.environ["LOCAL_RANK"])
    feed_or_starve(0 if shared else rank, shared or rank % 2 == 0, seconds)


def recorded_ranks(number: int, mode: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        program = [__file__, mode, "--seconds", str(seconds), "--program"]
        datastall("run", "--quiet", "--dir", folder, *torchrun(number), *program)
        return shown(folder)


def stalls_by_rank(document: dict[str, Any]) -> dict[int, float]:
    """Of the ranks; torchrun itself records nothing."""
    return {
        each["rank"]: each["input_stall_share"]
        for each in document["processes"]
        if each["rank"] is not None and each["input_stall_share"] is not None
    }


def ranks(options: argparse.Namespace, count: int) -> int:
    document = recorded_ranks(count, "ranks", options.seconds)
    stalls = stalls_by_rank(document)
    busy = [gpu["busy_share"] for gpu in document["gpus"]]
    ok = sorted(stalls) == list(range(count)) and len(busy) == count and None not in busy
    for rank in range(count if ok else 0):
        starved = rank % 2 == 0
        ok = ok and (stalls[rank] > 0.3 if starved else stalls[rank] < 0.1)
        # Over the window of all ranks, of which one that starts late has a part only.
        ok = ok and (busy[rank] < 0.7 if starved else busy[rank] > 0.6)
    told = "  ".join(
        f"rank {rank}: stall {stall:.3f} busy {share}"
        for (rank, stall), share in zip(sorted(stalls.items()), busy, strict=False)
    )
    print(f"{told or 'no ranks'}{'' if ok else '  DIFFERS'}")
    return 0 if ok else 1


def shared(options: argparse.Namespace, _count: int) -> int:
    document = recorded_ranks(2, "shared", options.seconds)
    stalls = stalls_by_rank(document)
    gpu, verdict = document["gpus"][0], document["verdict"]
    batches = [each["batches"] for each in document["loaders"]]
    claimed, busy = gpu["input_stall_share"], gpu["busy_share"]
    bound = bool(verdict["upper_bound"])
    ok = sorted(stalls) == [0, 1] and len(batches) == 2 and min(batches) > 0 and busy is not None
    # A share that is null claims nothing.
    ok = ok and (bound or claimed is None or claimed + busy <= 1.02)
    print(
        f"two ranks on one GPU: stall by rank {stalls}, the GPU's {claimed}, busy {busy}, "
        f"{'at most' if bound else 'exact'}{'' if ok else ': DIFFERS'}"
    )
    return 0 if ok else 1


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["starts", "ranks", "shared"])
    parser.add_argument("--starts", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--program", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seconds is None:
        options.seconds = 1.3 if options.mode == "starts" else 6.0
    if options.program:
        rank_program(options.mode == "shared", options.seconds)
        return 0
    if not options.gpus:
        need_gpus(2 if options.mode == "ranks" else 1)
    check = {"starts": starts, "ranks": ranks, "shared": shared}[options.mode]
    return check(options, options.gpus or gpu_count())


if __name__ == "__main__":
    sys.exit(main())
