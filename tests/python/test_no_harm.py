# SPDX-License-Identifier: Apache-2.0
"""Programs do the same with datastall and without it.

harmless/ holds small programs, ordinary ones and evil ones. Each prints what it saw and must print
the same under `datastall run`: output, errors, exit code, order, random numbers. They run twice,
plainly and recorded, by programs/snippets.py. A snippet's first comment lines may say

    # fresh: FLAGS     it needs an interpreter of its own (see snippets.py)
    # ends with: CODE  other than 0; -9 where signal 9 kills it
"""

from __future__ import annotations

import difflib
import fcntl
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import DATASTALL, PROGRAMS, PYTHON, environment, shown

SNIPPETS = sorted((Path(__file__).parent / "harmless").glob("*_*.py"))
TIMEOUT_S = 900  # a minute where nothing else runs

#: Where datastall shows, as docs/measuring.md says: name of the snippet -> how.
SHOWS: dict[str, str] = {
    "loop_inspected": "type() of a stand-in is not that of a function; all else is",
    "loop_recursion": "a next() takes some three levels of the recursion limit",
    "loop_traced": "sys.settrace sees a finder where a module is imported",
    "process_compiled": "torch.compile warns where a compiled function makes a DataLoader",
}

Outcomes = dict[str, dict[str, Any]]


def start(folder: Path, *launcher: str) -> subprocess.Popen[str]:
    """Starts all snippets, each in a folder of its own whose path is as long either way."""
    (folder / "work").mkdir(parents=True)
    argv = [*launcher, PYTHON, str(PROGRAMS / "snippets.py"), "results.json", "work"]
    return subprocess.Popen(
        [*argv, *map(str, SNIPPETS)],
        cwd=folder,
        env=environment({"PYTHONHASHSEED": "0"}),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def outcomes(folder: Path, process: subprocess.Popen[str]) -> Outcomes:
    said, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, said
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcomes, Outcomes, Path]:
    """(plain, recorded, the folder of the recording), made once for all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp().parent / "harmless"
    base.mkdir(exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "ended.json").exists():
            (base / "ended.json").write_text(json.dumps(run_all(base)))
    plain, recorded = json.loads((base / "ended.json").read_text())
    return plain, recorded, base / "under"


def run_all(base: Path) -> tuple[Outcomes, Outcomes]:
    with start(base / "plain") as plain, start(base / "under", DATASTALL, "run") as recorded:
        try:
            return outcomes(base / "plain", plain), outcomes(base / "under", recorded)
        finally:
            plain.kill()
            recorded.terminate()  # which it passes on


def code_of(snippet: Path) -> int:
    stated = re.search(r"^# ends with: (-?\d+)$", snippet.read_text(), re.MULTILINE)
    return int(stated[1]) if stated else 0


def without_addresses(text: str) -> list[str]:
    return re.sub(r"0x[0-9a-f]{6,}", "0x...", text).splitlines()


def differences(plain: dict[str, Any], under: dict[str, Any]) -> str:
    lines = []
    if plain["code"] != under["code"]:
        lines.append(f"exit code {plain['code']}, under datastall {under['code']}")
    for stream in ("out", "err"):
        before, after = (without_addresses(ended[stream]) for ended in (plain, under))
        lines += difflib.unified_diff(before, after, "plain", "under datastall", lineterm="", n=1)
    return "\n".join(lines)


def test_nothing_changes(ended: tuple[Outcomes, Outcomes, Path]) -> None:
    plain, under, _ = ended
    changed = {
        snippet.stem: difference
        for snippet in SNIPPETS
        if (difference := differences(plain[snippet.stem], under[snippet.stem]))
    }
    report = "\n".join(f"== {name}\n{text}" for name, text in changed.items() if name not in SHOWS)
    assert not report, "\n" + report
    # From 3.12 on the recursion limit and torch.compile show nothing (tried with 3.12).
    if sys.version_info < (3, 12):
        assert sorted(changed) == sorted(SHOWS), "SHOWS names a snippet that shows no difference"


def test_the_snippets_do_what_they_are_for(ended: tuple[Outcomes, Outcomes, Path]) -> None:
    """One that fails at once would do so either way."""
    plain, _, _ = ended
    wrong = {
        snippet.stem: plain[snippet.stem]
        for snippet in SNIPPETS
        if plain[snippet.stem]["code"] != code_of(snippet) or not plain[snippet.stem]["out"]
    }
    assert not wrong, json.dumps(wrong, indent=1)


def test_they_were_recorded(ended: tuple[Outcomes, Outcomes, Path]) -> None:
    """Nothing would change where nothing is hooked."""
    _, _, folder = ended
    sites = {str(loader.get("site")) for loader in shown(folder)["loaders"]}
    iterating = [path for path in SNIPPETS if path.stem.startswith(("batch_", "loop_"))]
    seen = [path for path in iterating if any(site.startswith(f"{path.name}:") for site in sites)]
    assert len(seen) > len(iterating) / 2, sorted(sites)
