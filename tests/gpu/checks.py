# SPDX-License-Identifier: Apache-2.0
"""What every check on a GPU needs: whether it can run, and datastall as a user calls it.

Importing it changes nothing: neither the environment nor what datastall records.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SKIPPED = 77


def gpu_count() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def need_gpus(count: int) -> None:
    """Ends the check with code 77 where there are fewer."""
    found = gpu_count()
    if found < count:
        print("skipped: no GPU" if found == 0 else f"skipped: {found} GPU, needs {count}")
        sys.exit(SKIPPED)


def need_program(name: str) -> None:
    if shutil.which(name) is None:
        print(f"skipped: no {name}")
        sys.exit(SKIPPED)


def forget_run() -> None:
    """The check records a run of its own; not for a program that `datastall run` started."""
    os.environ.pop("DATASTALL_RUN_DIR", None)


def program_name() -> str:
    import torch

    return f"{torch.cuda.get_device_name(0)}, PyTorch {torch.__version__}"


def datastall_path() -> str:
    """The program beside this interpreter, else the one on the path."""
    beside = Path(sys.executable).parent / "datastall"
    return str(beside) if beside.exists() else shutil.which("datastall") or "datastall"


def datastall(*arguments: str, **options: Any) -> str:
    """Runs datastall, which must end well; what it wrote on standard output."""
    command = [datastall_path(), *arguments]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options)
    return str(ended.stdout)


def shown(folder: str) -> dict[str, Any]:
    """The newest run below a folder."""
    document: dict[str, Any] = json.loads(datastall("show", "--json", "--dir", folder))
    return document


def torchrun(ranks: int) -> list[str]:
    """The launcher as a module, so that the ranks have this interpreter."""
    words = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks))
    return [sys.executable, *words]


def first_gpu_only() -> dict[str, str]:
    """An environment in which CUDA's first GPU is the one that nvidia-smi numbers 0."""
    return {**os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "0"}


def nvidia_smi(query: str, every_ms: int) -> subprocess.Popen[str]:
    """nvidia-smi that reads GPU 0 until it is ended."""
    words = ["-i", "0", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    return subprocess.Popen(
        ["nvidia-smi", *words, "-lms", str(every_ms)], stdout=subprocess.PIPE, text=True
    )
