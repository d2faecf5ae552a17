# SPDX-License-Identifier: Apache-2.0
"""Rules, dashboard and docs of the fleet: promtool takes them, and they name what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from live import ROOT, promtool

FLEET = ROOT / "examples" / "fleet"
NAME = re.compile(r"\bdatastall_[a-z_]+")


def said() -> set[str]:
    """Every name that /metrics can hold."""
    source = (ROOT / "src" / "output" / "openmetrics.c").read_text()
    names = {
        "datastall_run_processes",
        "datastall_build_info",
        "datastall_input_stall_cause_seconds_total",
    }
    table = source[source.index("families[] = {") : source.index("FAMILY_COUNT")]
    for kind, name in re.findall(r'\{ROW_\w+, (\w+),[^"]*"(datastall_\w+)"', table):
        names |= {name} if kind != "COUNTER" else {f"{name}_total"}
        if kind == "HISTOGRAM":
            names |= {f"{name}_{suffix}" for suffix in ("bucket", "count", "sum")}
        if kind == "SUMMARY":
            names |= {f"{name}_{suffix}" for suffix in ("count", "sum")}
    return names


def recorded_by_rules() -> set[str]:
    return set(re.findall(r"record: (\S+)", (FLEET / "rules.yml").read_text()))


def test_rules() -> None:
    for arguments in (
        ("check", "rules", str(FLEET / "rules.yml")),
        ("check", "config", str(FLEET / "prometheus.yml")),
        ("test", "rules", str(FLEET / "rules_test.yml")),
    ):
        ended = promtool(*arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "SUCCESS" in ended.stdout


def test_every_rule_is_tested() -> None:
    """Each record and alert stands in a test's expectations, or in another rule that is tested."""
    tests = (FLEET / "rules_test.yml").read_text()
    rules = (FLEET / "rules.yml").read_text()
    for name in [*recorded_by_rules(), *re.findall(r"alert: (\S+)", rules)]:
        assert name in tests or rules.count(name) > 1, name


@pytest.mark.parametrize("page", ["rules.yml", "rules_test.yml", "dashboard.json"])
def test_names_are_said(page: str) -> None:
    text = (FLEET / page).read_text()
    assert set(NAME.findall(text)) - said() == set()
    assert set(re.findall(r"datastall:\w+:\w+", text)) - recorded_by_rules() == set()


def test_the_docs_name_every_metric() -> None:
    documented = set(re.findall(r"`(datastall_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    parts = {name for name in said() if name.endswith(("_bucket", "_count", "_sum"))}
    assert said() - parts - documented == set()
    assert documented - said() == set()
    fleet = set(NAME.findall((ROOT / "docs" / "fleet.md").read_text()))
    assert fleet - said() == set()


def test_the_dashboard() -> None:
    board = json.loads((FLEET / "dashboard.json").read_text())
    identities = [panel["id"] for panel in board["panels"]]
    assert len(identities) == len(set(identities)) > 10
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel["targets"]:
            assert_query(target["expr"])


def assert_query(expression: str) -> None:
    """promtool parses it, as a rule."""
    rule = {
        "groups": [{"name": "g", "rules": [{"record": "r", "expr": expression}]}],
    }
    path = Path("/dev/stdin")
    text = json.dumps(rule).replace("$name", ".*")
    ended = promtool("check", "rules", str(path), text=text)
    assert ended.returncode == 0, f"{expression}: {ended.stdout}{ended.stderr}"
