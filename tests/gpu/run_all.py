# SPDX-License-Identifier: Apache-2.0
"""Runs every check of this folder that fits the GPUs found, one after the other, in nine minutes.

python tests/gpu/run_all.py [--wheel FILE] [--budget SECONDS] [--starts N] [--parallel N] [NAME...]

One line a check: ok, FAILED or skipped, how long it took, and its figures, which are the last line
that it printed. Whole outputs lie in gpu-checks.log in $OUT, else in a temporary folder. Exit 1
when one failed. Uses the installed datastall, or --wheel: that one, in an environment of its own
in which the packages of this interpreter are seen as well; nothing is fetched.
"""

from __future__ import annotations

import argparse
import os
import signal
import site
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from checks import SKIPPED, gpu_count

HERE = Path(__file__).resolve().parent
LONGEST_LINE = 300
LONGEST_TAIL = 700


def checks(options: argparse.Namespace, gpus: int) -> dict[str, tuple[list[str], int]]:
    """Name: (words, seconds it may take). What a machine of many GPUs is for comes first."""
    starts = options.starts or (200 if gpus > 1 else 40)
    many = ["check_many_gpus.py"]
    batch = ["--starts", str(starts), "--parallel", str(options.parallel)]
    return {
        "many_gpus starts": ([*many, "starts", *batch], 240),
        "many_gpus ranks": ([*many, "ranks", "--seconds", "5"], 60),
        "many_gpus shared": ([*many, "shared", "--seconds", "5"], 60),
        "two_gpus": (["check_two_gpus.py", "5"], 90),
        "capture": (["check_capture.py", "200"], 60),
        "steps_capture": (["check_steps_capture.py", "300"], 90),
        "profiler": (["check_profiler.py", "5"], 60),
        "sampling": (["check_sampling.py", "8"], 60),
        "gpu_monitor": (["check_gpu_monitor.py", "8"], 60),
        "activity": (["check_activity.py", "6"], 90),
        "stalls": (["check_stalls.py", "3.5"], 150),
        "steps": (["check_steps.py", "6"], 240),
    }


def environment_with(wheel: Path, folder: Path) -> str:
    """An interpreter that has the wheel, and what this one has."""
    made = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
    python = str(made / "bin" / "python")
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    inside = subprocess.run([python, "-c", where], check=True, stdout=subprocess.PIPE, text=True)
    seen = [*site.getsitepackages(), site.getusersitepackages()]
    lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in seen)
    (Path(inside.stdout.strip()) / "of_the_other.pth").write_text(lines)
    # Without an index nothing can be fetched; over the other's installation, not instead of it.
    options = ["install", "-q", "--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *options], check=True)
    return python


def end_all(process: subprocess.Popen[str]) -> None:
    """With its children, which hold the pipe."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(python: str, words: list[str], seconds: float) -> tuple[int | None, str]:
    """(exit code, or None: it did not end in time; what it wrote)."""
    path = f"{Path(python).parent}:{os.environ.get('PATH', '')}"
    process = subprocess.Popen(
        [python, *words],
        cwd=HERE,
        env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        end_all(process)
        out, _ = process.communicate()
        return None, out
    end_all(process)  # what it may have left behind
    return process.returncode, out


def tell(name: str, code: int | None, out: str, took_s: float, limit_s: float) -> None:
    lines = [line for line in out.splitlines() if line.strip()]
    said = lines[-1][:LONGEST_LINE] if lines else "it said nothing"
    word = {0: "ok", SKIPPED: "skipped"}.get(code if code is not None else -1, "FAILED")
    if code is None:
        said = f"did not end within {limit_s:.0f} s"
    elif word == "FAILED":
        said = f"code {code}: {said}"
    print(f"{word:<8} {name:<17} {took_s:5.1f} s  {said}", flush=True)
    if word == "FAILED":
        tail = "\n".join(lines[-12:])[-LONGEST_TAIL:]
        print("".join(f"         | {line}\n" for line in tail.splitlines()), end="", flush=True)


def run_checks(options: argparse.Namespace, python: str, gpus: int, log: Path) -> int:
    """How many failed."""
    begin = time.monotonic()
    failed = 0
    for name, (words, longest_s) in checks(options, gpus).items():
        if options.names and name not in options.names:
            continue
        left_s = options.budget - (time.monotonic() - begin)
        limit_s = max(1.0, min(longest_s, left_s))
        before = time.monotonic()
        code, out = run(python, words, limit_s)
        took_s = time.monotonic() - before
        with log.open("a") as file:
            file.write(f"==== {name}: {' '.join(words)}: code {code}, {took_s:.1f} s\n{out}\n")
        failed += code not in (0, SKIPPED)
        tell(name, code, out, took_s, limit_s)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--budget", type=float, default=525.0)
    parser.add_argument("--starts", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    wrong = set(options.names) - set(checks(options, 1))
    if wrong:
        parser.error(
            f"no check {', '.join(sorted(wrong))}; there are: {', '.join(checks(options, 1))}"
        )
    folder = Path(os.environ.get("OUT") or tempfile.mkdtemp(prefix="gpu-checks-"))
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "gpu-checks.log"
    log.write_text("")
    with tempfile.TemporaryDirectory() as scratch:
        python = sys.executable
        if options.wheel is not None:
            python = environment_with(options.wheel.resolve(), Path(scratch))
        gpus = gpu_count()
        _, version = run(
            python,
            [
                "-c",
                "import datastall, torch; print(datastall.__version__, "
                "torch.__version__, datastall.__file__)",
            ],
            120,
        )
        print(f"{gpus} GPUs; datastall, torch: {version.strip()[-LONGEST_LINE:]}; details in {log}")
        failed = run_checks(options, python, gpus, log)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
