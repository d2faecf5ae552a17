# SPDX-License-Identifier: Apache-2.0
"""On a machine with two NVIDIA GPUs: two in one process, and two ranks under torchrun.

GPU 0 (rank 0) is starved, GPU 1 (rank 1) is fed. Each must have its own stall and its own activity.

python tests/gpu/check_two_gpus.py [SECONDS]
"""

from __future__ import annotations

import os
import sys
import tempfile

from checks import datastall, need_gpus, shown, torchrun
from gpu_loops import feed_or_starve


def program(seconds: float) -> None:
    if "LOCAL_RANK" in os.environ:
        rank = int(os.environ["LOCAL_RANK"])
        feed_or_starve(rank, rank == 0, seconds)
    else:
        feed_or_starve(0, True, seconds)
        feed_or_starve(1, False, seconds)


def run(name: str, launcher: list[str], seconds: float) -> int:
    with tempfile.TemporaryDirectory() as folder:
        command = [*launcher, __file__, str(seconds), "program"]
        datastall("run", "--quiet", "--dir", folder, *command)
        document = shown(folder)
    one, other = document["gpus"][0], document["gpus"][1]
    failed = not one["exposed_stall_s"]["sum"] or other["exposed_stall_s"]["sum"] is None
    failed = failed or one["exposed_stall_s"]["sum"] < 5 * other["exposed_stall_s"]["sum"]
    if name == "two ranks":
        ranks = {each["rank"]: each["input_stall_share"] for each in document["processes"]}
        print(f"{name}: stall by rank {ranks}")
        failed = failed or not (ranks[0] > 0.3 > 0.1 > ranks[1])
        failed = failed or not (one["busy_share"] < 0.7 and other["busy_share"] > 0.8)
    for gpu in (one, other):
        print(
            f"{name}: GPU {gpu['index']}: busy {gpu['busy_share']} ({gpu['busy_source']}), "
            f"stall {gpu['exposed_stall_s']['sum']} s"
        )
    print(f"{name}: {'DIFFERS' if failed else 'ok'}")
    return int(failed)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    if len(sys.argv) > 2:
        program(seconds)
        return 0
    need_gpus(2)
    failures = run("one process", [sys.executable], seconds)
    failures += run("two ranks", torchrun(2), seconds)
    print(f"{2 - failures} of 2: one process on two GPUs, two ranks on one each")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
