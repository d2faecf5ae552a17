"""On a machine with two NVIDIA GPUs: two in one process, and two ranks under torchrun.

GPU 0 (rank 0) is starved, GPU 1 (rank 1) is fed. Each must have its own stall and its own activity.

python tests/gpu/check_two_gpus.py [SECONDS]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import torch
from check_stalls import every, make_loader

ITEM_S = (0.016, 0.0002)


def loop(device: int, seconds: float) -> None:
    torch.cuda.set_device(device)
    weight = torch.randn(4096, 4096, device="cuda")
    state = torch.randn(4096, 4096, device="cuda")
    end = time.monotonic() + seconds
    for batch in make_loader(every(ITEM_S[device])):
        batch.to("cuda", non_blocking=True)
        for _ in range(2 if device == 0 else 12):
            state = torch.tanh(state @ weight)
        if time.monotonic() > end:
            break
    torch.cuda.synchronize()


def program(seconds: float) -> None:
    if "LOCAL_RANK" in os.environ:
        loop(int(os.environ["LOCAL_RANK"]), seconds)
    else:
        loop(0, seconds)
        loop(1, seconds)


def run(name: str, launcher: list[str], seconds: float) -> int:
    with tempfile.TemporaryDirectory() as folder:
        command = [*launcher, __file__, str(seconds), "program"]
        subprocess.run(["datastall", "run", "--quiet", "--dir", folder, *command], check=True)
        show = ["datastall", "show", "--json", "--dir", folder]
        shown: dict[str, Any] = json.loads(
            subprocess.run(show, check=True, stdout=subprocess.PIPE, text=True).stdout
        )
    one, other = shown["gpus"][0], shown["gpus"][1]
    failed = not one["exposed_stall_s"]["sum"] or other["exposed_stall_s"]["sum"] is None
    failed = failed or one["exposed_stall_s"]["sum"] < 5 * other["exposed_stall_s"]["sum"]
    if "torchrun" in launcher[0]:
        ranks = {process["rank"]: process["input_stall_share"] for process in shown["processes"]}
        failed = failed or not (ranks[0] > 0.3 > 0.1 > ranks[1])
        failed = failed or not (one["busy_share"] < 0.7 and other["busy_share"] > 0.8)
        print(f"{name}: stall by rank {ranks}")
    for gpu in (one, other):
        print(
            f"{name}: GPU {gpu['index']}: busy {gpu['busy_share']:.3f} ({gpu['busy_source']}), "
            f"stall {gpu['exposed_stall_s']['sum']} s"
        )
    print(f"{name}: {'DIFFERS' if failed else 'ok'}")
    return int(failed)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    if len(sys.argv) > 2:
        program(seconds)
        return 0
    if torch.cuda.device_count() < 2:
        print("this machine has fewer than two GPUs: nothing was checked")
        return 1
    failures = run("one process", [sys.executable], seconds)
    return failures + run("two ranks", ["torchrun", "--nproc-per-node", "2"], seconds)


if __name__ == "__main__":
    sys.exit(main())
