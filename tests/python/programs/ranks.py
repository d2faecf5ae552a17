# SPDX-License-Identifier: Apache-2.0
"""Starts the ranks of a job as torchrun does, without importing PyTorch for it.

    python ranks.py COUNT PROGRAM ARGUMENT...

A rank that fails ends the others, and its exit code is that of the job.
"""

import os
import subprocess
import sys
import tempfile
import time


def start(rank: int, count: int, store: str) -> subprocess.Popen:
    own = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "JOB_STORE": f"file://{store}/store",
        "TORCHELASTIC_RUN_ID": os.path.basename(store),
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    python = os.environ.get("PYTHON_EXEC", sys.executable)
    return subprocess.Popen([python, *sys.argv[2:]], env={**os.environ, **own})


def main() -> int:
    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as store:
        ranks = [start(rank, count, store) for rank in range(count)]
        while True:
            codes = [rank.poll() for rank in ranks]
            failed = next((code for code in codes if code), 0)
            if failed or None not in codes:
                break
            time.sleep(0.02)
        for rank in ranks:
            rank.kill()
            rank.wait()
        return failed


sys.exit(main())
