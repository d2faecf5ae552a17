# SPDX-License-Identifier: Apache-2.0
"""The table of the programs after public reports, and how a run of one is judged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support import PYTHON, environment, on_a_busy_machine, warmly

tomllib = pytest.importorskip("tomllib")

CAUSES = Path(__file__).parents[1] / "causes"
sys.path.insert(0, str(CAUSES))

from run_plants import run_recorded  # noqa: E402
from run_reports import accepted, judge, own_time  # noqa: E402

TABLE = tomllib.loads((CAUSES / "reports.toml").read_text())
PROGRAMS = {path.stem: path.read_text() for path in (CAUSES / "reports").glob("*.py")}
CAUSE_NAMES = {
    *("none", "compute", "compute_in_threads", "cpu_contention", "storage", "blocked", "collate"),
    *("transfer", "interpreter", "loop_cpu_wait", "overhead", "pin", "sampler", "startup"),
    *("epoch_start", "head_of_line", "window", "uneven_shards", "duplicate_stream", "failed"),
    "unknown",
}
NEEDED, OPTIONAL = {"origin", "report", "kind", "truth", "primary", "never"}, {"advice", "cured"}


def test_every_program_is_in_the_table_and_the_other_way_round() -> None:
    assert set(PROGRAMS) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_entry_is_whole(name: str) -> None:
    entry = TABLE[name]
    assert set(entry) >= NEEDED
    assert set(entry) <= NEEDED | OPTIONAL
    assert entry["origin"] in ("cases", "reports", "later", "kinds", "fresh")
    assert entry["report"].startswith("https://") or entry["origin"] in ("cases", "kinds")
    assert entry["primary"]
    assert CAUSE_NAMES.issuperset(entry["primary"] + entry.get("cured", []))
    assert all(text == text.lower() for text in entry.get("advice", []) + entry["never"])


@pytest.mark.parametrize("name", TABLE)
def test_a_program_has_a_cure_when_the_table_says_so(name: str) -> None:
    assert ('"fix"' in PROGRAMS[name]) == ("cured" in TABLE[name])


def run(primary: str, suggestion: str = "", status: int | str = 0) -> dict[str, Any]:
    return {"primary": primary, "suggestion": suggestion, "exit": status}


ENTRY = {"primary": ["collate"], "advice": ["stack"], "never": ["disk"], "cured": ["none"]}
GOOD, CURED = run("collate", "Stack at once"), run("none")


@pytest.mark.parametrize(
    ("as_is", "cured", "wrong"),
    [
        (GOOD, CURED, []),
        (run("compute", "stack"), CURED, ["primary"]),
        (run("collate", "sleep less"), CURED, ["advice"]),
        (run("collate", "stack on a local disk"), CURED, ["never"]),
        (run("collate", "stack", 1), CURED, ["exit"]),
        (run("collate", "stack", "time-out"), CURED, ["exit"]),
        (GOOD, run("collate"), ["cured primary"]),
        (GOOD, run("none", "", 1), ["cured exit"]),
    ],
)
def test_each_mistake_is_told(as_is: dict[str, Any], cured: dict[str, Any], wrong: list) -> None:
    assert judge(ENTRY, {"as is": as_is, "cured": cured}, {}) == wrong


def test_no_advice_is_asked_for_or_any_will_do() -> None:
    healthy = {"primary": ["none"], "advice": [], "never": []}
    failed = {"primary": ["failed"], "never": ["disk"]}
    assert judge(healthy, {"as is": run("none")}, {}) == []
    assert judge(healthy, {"as is": run("none", "more workers")}, {}) == ["advice"]
    assert judge(failed, {"as is": run("failed", "look at item 3", 1)}, {}) == []
    assert judge(failed, {"as is": run("failed")}, {}) == ["exit"]


def test_a_name_may_stand_for_others() -> None:
    entry = {"primary": ["storage"], "never": []}
    accept = accepted(["blocked_io=waiting,storage"])
    assert judge(entry, {"as is": run("blocked_io")}, accept) == []
    assert judge(entry, {"as is": run("blocked_io")}, {}) == ["primary"]


def test_a_program_says_its_time_itself() -> None:
    assert own_time("loaded\n2.50 s, 40 batches\n") == 2.5
    assert own_time("took 2.50 s\n") is None


#: That say the same however busy the machine is: what they wait for sleeps, or it is not of time.
STEADY = [
    *("unsharded_stream", "one_shard", "iterator_per_step", "four_ms"),
    *("background_generator", "worker_killed", "worker_hangs", "worker_ends_meanwhile"),
    *("cannot_be_pickled", "bad_row_of_a_stream", "buffer_in_new_workers"),
    *("loader_of_each_epoch", "few_of_many_batches"),
]


@pytest.mark.parametrize("name", STEADY)
@on_a_busy_machine
def test_what_is_said_of_a_program(tmp_path: Path, name: str) -> None:
    command = warmly([PYTHON, str(CAUSES / "reports" / f"{name}.py")])
    ended, loader = run_recorded(command, tmp_path, environment(), 120)
    assert loader is not None, ended.stderr
    why = loader["why"]
    result = {
        "exit": ended.returncode,
        "primary": why["primary"],
        "suggestion": why["suggestion"] or "",
    }
    assert judge(TABLE[name], {"as is": result}, {}) == [], why
