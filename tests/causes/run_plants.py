# SPDX-License-Identifier: Apache-2.0
"""Runs planted programs under datastall and prints what was planted against what was named.

    python tests/causes/run_plants.py [--json FILE] [NAME ...]

NAME: of programs or of causes; all without one. Exit 1 when any differs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DATASTALL = Path(sys.executable).parent / "datastall"


def run_recorded(
    command: list[str], folder: Path, variables: dict[str, str], timeout_s: float = 600
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any] | None]:
    """Runs a command under datastall in a folder: how it ended, and what `show --json` says.

    Of the loaders the one that was waited for longest; None where none was recorded.
    """
    variables = {**variables, "DATASTALL_DIR": str(folder / "runs")}
    ended = run_bounded([str(DATASTALL), "run", *command], folder, variables, timeout_s)
    show = [str(DATASTALL), "show", "--json"]
    shown = subprocess.run(show, cwd=folder, env=variables, check=True, capture_output=True)
    loaders = json.loads(shown.stdout)["loaders"]
    return ended, max(loaders, key=lambda one: one["waiting_s"], default=None)


def run_bounded(
    command: list[str], folder: Path, variables: dict[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Runs a command; one that takes too long is killed with all that it started."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            out, err = program.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            program.communicate()
            raise
        return subprocess.CompletedProcess(command, program.returncode, out, err)


def run_plant(
    name: str,
    folder: Path,
    environment: dict[str, str] | None = None,
    module: str = "plants",
    python: str = sys.executable,
) -> dict[str, Any]:
    """Runs one program in a folder; its loader's part of `show --json`, and `planted`."""
    base = os.environ if environment is None else environment
    command = [python, str(HERE / f"{module}.py"), name]
    ended, loader = run_recorded(command, folder, {**base, "OMP_NUM_THREADS": "1"})
    if ended.returncode != 0 or loader is None:
        raise RuntimeError(f"{name} failed:\n{ended.stderr}")
    return {**loader, "planted": planted(module)[name]}


def planted(module: str = "plants") -> dict[str, str]:
    """The cause of each program."""
    sys.path.insert(0, str(HERE))
    programs = importlib.import_module(module).PLANTS
    return {name: cause for name, (cause, _) in programs.items()}


def shares_text(loader: dict[str, Any]) -> str:
    why = loader["why"]
    shares = sorted(((v or 0, k) for k, v in why["shares"].items()), reverse=True)
    parts = [f"{name} {value:.0%}" for value, name in shares if value >= 0.05]
    parts += [
        f"({name} {why[key]:.0%})"
        for name, key in (("head of line", "head_of_line"), ("window", "window"))
        if why[key] and why[key] >= 0.05
    ]
    return ", ".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    wrong = 0
    results: dict[str, Any] = {}
    print(f"{'program':<36} {'planted':<15} {'named':<15} {'stall':>6}  shares of the stall")
    for name, cause in planted().items():
        if options.names and name not in options.names and cause not in options.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            loader = run_plant(name, Path(folder))
        results[name] = loader
        named = loader["why"]["primary"]
        wrong += named != cause
        mark = "" if named == cause else "  <-- differs"
        share = loader["why"]["stall_share"]
        print(f"{name:<36} {cause:<15} {named:<15} {share:6.1%}  {shares_text(loader)}{mark}")
        sys.stdout.flush()
    print(f"{len(results) - wrong} of {len(results)} as planted")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
