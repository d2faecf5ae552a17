# SPDX-License-Identifier: Apache-2.0
"""`--price-per-gpu-hour`: on the card, in the JSON, and refused where it is no price."""

from __future__ import annotations

from pathlib import Path

from support import PROGRAMS, datastall, recorded, shown


def test_cost_without_a_gpu_is_unknown_and_never_0(tmp_path: Path) -> None:
    recorded(tmp_path, str(PROGRAMS / "two_loaders.py"))
    plain = datastall("show", folder=tmp_path)
    priced = datastall("show", "--price-per-gpu-hour", "2.5", folder=tmp_path)
    assert "COST" not in plain.out
    assert "COST     unknown: no GPU was seen in use" in priced.out
    cost = shown(tmp_path, "--price-per-gpu-hour", "2.5")["cost"]
    assert cost["price_per_gpu_hour"] == 2.5
    assert cost["money"] is None and cost["stalled_money"] == {"lower": None, "upper": None}
    shares = [cause["share"] for cause in cost["causes"]]
    assert 0.9 < sum(shares) <= 1 + 1e-9
    for wrong in ("free", "-1", "0", "2,5"):
        refused = datastall("show", "--price-per-gpu-hour", wrong, folder=tmp_path)
        assert refused.code == 2 and "takes a number such as 2.50" in refused.err
