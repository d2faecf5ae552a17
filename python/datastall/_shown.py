# SPDX-License-Identifier: Apache-2.0
"""A run as a notebook shows it: :func:`datastall.show`."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

NOTHING = "datastall: nothing was recorded yet; loop over a DataLoader, or datastall.watch(loader)"
COLOURS = {"severe": "#b3261e", "moderate": "#96620a", "slight": "#96620a", "none": "#1d7a36"}
ROW = '<tr><th style="text-align:left;padding-right:1em;vertical-align:top">{}</th><td>{}</td></tr>'
MOST_LOADERS = 6


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes}m {int(seconds % 60):02}s"
    return f"{minutes // 60}h {minutes % 60:02}m"


def _bar(share: float | None) -> str:
    if share is None:
        return ""
    width = 100 * min(1.0, max(0.0, share))
    return (
        '<div style="max-width:40em;height:.9em;border:1px solid #8a929f;border-radius:3px">'
        f'<div style="width:{width:.1f}%;height:100%;background:#c8400a"></div></div>'
    )


def _loader_row(loader: Mapping[str, Any]) -> str:
    rate = loader["samples_per_s"]
    waits = loader["wait_ms"]
    parts = [
        "" if rate is None else f"{rate:,.0f} samples/s",
        f"waiting {_percent(loader['waiting_share'])}",
        "" if waits["p50"] is None else f"median {waits['p50']:.3g} ms, p99 {waits['p99']:.3g} ms",
        "" if loader["why"]["primary"] == "none" else loader["why"]["primary"].replace("_", " "),
    ]
    name = f"LOADER {loader['name']}"
    return ROW.format(escape(name), escape(", ".join(part for part in parts if part)))


def _pause_row(processes: list[Mapping[str, Any]]) -> str:
    """What lay between loops, which no share is of."""
    paused = max((process["paused_s"] or 0 for process in processes), default=0)
    if paused < 0.1:
        return ""
    text = f"{_duration(paused)} between loops, when no loader was iterated over; not counted"
    return ROW.format("PAUSED", escape(text))


def _html(summary: Mapping[str, Any]) -> str:
    verdict, run, loaders = summary["verdict"], summary["run"], summary["loaders"]
    colour = COLOURS.get(verdict["severity"], "inherit")
    sentence = (verdict["text"] or "").replace("\n", " ")
    longest = sorted(loaders, key=lambda loader: -loader["waiting_s"])
    rows = [_loader_row(loader) for loader in longest[:MOST_LOADERS]]
    if len(longest) > MOST_LOADERS:
        rows.append(ROW.format("", f"and {len(longest) - MOST_LOADERS} more"))
    rows.append(_pause_row(summary["processes"]))
    first = longest[0]["why"] if longest else None
    if first is not None and first["suggestion"]:
        rows.append(ROW.format("TRY", escape(first["suggestion"])))
    if verdict["prize"]:
        rows.append(ROW.format("GAIN", escape(verdict["prize"])))
    if summary["damage"]["problems"]:
        rows.append(ROW.format("DAMAGED", escape(summary["damage"]["first_problem"] or "")))
    return (
        '<div style="font-family:sans-serif;line-height:1.45">'
        f'<div style="font-weight:600;color:{colour}">{escape(sentence)}</div>'
        f"{_bar(verdict['worst_share'])}"
        f'<table style="font-size:.9em">{"".join(rows)}</table>'
        f'<div style="font-size:.8em;opacity:.7">{escape(run["id"])}, '
        f"{_duration(run['duration_s'])}; datastall {escape(summary['datastall_version'])}</div>"
        "</div>"
    )


class Shown:
    """The run as it was when :func:`datastall.show` was called.

    A notebook shows it as HTML, which holds no script; ``print()`` gives the card of
    ``datastall show`` as text.
    """

    def __init__(self, summary: Mapping[str, Any], card: str) -> None:
        self._summary = summary
        self._card = card

    def __repr__(self) -> str:
        return self._card if self._summary else NOTHING

    def _repr_html_(self) -> str:
        return _html(self._summary) if self._summary else f"<p>{escape(NOTHING)}</p>"
