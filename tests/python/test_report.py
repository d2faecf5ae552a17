# SPDX-License-Identifier: Apache-2.0
"""`datastall report` in a real browser: what it says, that it asks nobody for anything, keyboard,
screen readers, paper, phones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from support import PROGRAMS, PYTHON, datastall, run_folders, shown

NAME = "</script><img src=x onerror=document.title='hurt'>"

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs of one program, the second under a hostile name."""
    folder = tmp_path_factory.mktemp("report")
    for name in ("plain", NAME):
        program = str(PROGRAMS / "two_loaders.py")
        ended = datastall("run", "--name", name, "--", PYTHON, program, folder=folder)
        assert ended.code == 0, ended.err
    return folder


@pytest.fixture(scope="module")
def pages(runs: Path) -> dict[str, Path]:
    found = {"one": runs / "one.html", "two": runs / "two.html"}
    hostile = str(run_folders(runs)[-1])
    for path, names in ((found["one"], []), (found["two"], ["plain", hostile])):
        ended = datastall("report", *names, "-o", str(path), folder=runs)
        assert ended.code == 0, ended.err
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def data_of(page: Path) -> dict:
    """What the page's script reads."""
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL
    )
    assert found is not None
    return json.loads(found[1])


def test_holds_the_summary_and_the_run_over_time(runs: Path, pages: dict[str, Path]) -> None:
    run = data_of(pages["one"])["runs"][0]
    summary = shown(runs)
    assert run["summary"]["run"]["name"] == NAME
    assert run["summary"]["verdict"]["text"] == summary["verdict"]["text"]
    loaders = {loader["name"]: loader for loader in run["summary"]["loaders"]}
    assert {loader["name"] for loader in summary["loaders"]} == set(loaders)
    group = next(group for group in run["groups"] if group["moments"])
    loader = loaders[group["name"]]
    assert sum(bin[2] for bin in group["steady"]) == loader["wait_ms"]["count"]
    assert sum(moment["waits"] for moment in group["moments"]) <= loader["batches"]
    for moment in group["moments"]:
        assert moment["p50_ms"] <= moment["p95_ms"] <= moment["max_ms"]
        assert sum(moment["causes"]) == pytest.approx(1, abs=0.01)
    slow = group["slow"][0]
    own = next(row for row in slow["batches"] if row[0] == slow["batch"])
    assert own[6] == pytest.approx(slow["wait_ms"], rel=0.01)
    level = run["over_time"][0]
    delivered = sum(rate or 0 for rate in level["batches_per_s"])
    whole = sum(loader["batches"] for loader in summary["loaders"])
    assert 0.5 * whole < delivered < 2 * whole  # spans of a second, the edges cut


def test_one_file_of_bounded_size_that_stays_when_it_is_there(
    runs: Path, pages: dict[str, Path]
) -> None:
    assert pages["two"].stat().st_size < 1_000_000
    again = datastall("report", "plain", "-o", str(pages["one"]), folder=runs)
    assert again.code == 1 and "--force" in again.err
    printed = datastall("report", "plain", "-o", "-", folder=runs)
    assert printed.code == 0 and printed.out.startswith("<!DOCTYPE html>")
    three = datastall("report", "plain", "plain", "plain", folder=runs)
    assert three.code == 2
    unknown = datastall("report", "nowhere", folder=runs)
    assert unknown.code == 1 and "no run 'nowhere'" in unknown.err


@needs_browser
def test_asks_nobody_and_runs_nothing_of_a_name(browser: Browser, pages: dict[str, Path]) -> None:
    for page in pages.values():
        address = page.as_uri()
        browser.open(address)
        assert browser.asked == [address]
        assert browser.complaints == []
        assert browser.value("document.querySelectorAll('img').length") == 0
        assert browser.value("document.title") != "hurt"
        assert NAME in browser.value("document.body.innerText")
    # The policy forbids what a name might have brought in.
    browser.value(
        "(() => { const s = document.createElement('script');"
        "s.textContent = 'document.title = \"hurt\"'; document.body.append(s);"
        "const i = document.createElement('img'); i.src = 'https://example.invalid/x';"
        "document.body.append(i); })()"
    )
    assert browser.value("document.title") != "hurt"
    # Events come with the next answer.
    browser.wait_for(lambda: browser.value("1") and len(browser.complaints) >= 2, "refusals")
    assert all("Content Security Policy" in text for text in browser.complaints)


@needs_browser
def test_says_verdict_cause_and_advice(
    browser: Browser, runs: Path, pages: dict[str, Path]
) -> None:
    verdict = shown(runs)["verdict"]
    browser.open(pages["one"].as_uri())
    text = browser.value("document.getElementById('verdict-0').innerText")
    assert verdict["text"].split("\n")[0] in text
    assert "CAUSE" in text and "TRY" in text
    charts = browser.value("[...document.querySelectorAll('.chart')].map(c => c.dataset.chart)")
    assert {"shares", "rate", "waits", "quantiles", "ready", "causes"} <= set(charts)
    # Something is drawn in each of them.
    assert browser.value(
        "[...document.querySelectorAll('.chart canvas')].every(c => c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data.some(v => v !== 0))"
    )


@needs_browser
def test_two_runs_side_by_side(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["two"].as_uri(), width=1400)
    sections = browser.value(
        "[...document.querySelectorAll('.runs > section')].map(s => s.getBoundingClientRect().left)"
    )
    assert len(sections) == 2 and sections[0] < sections[1]
    assert "The second compared with the first" in browser.value("document.body.innerText")


@needs_browser
def test_keyboard_and_screen_reader(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["one"].as_uri())
    browser.press("Tab")
    assert browser.value("document.activeElement.className") == "skip"
    browser.value("document.querySelector('.plot').focus()")
    browser.press("Home")
    first = browser.value("document.querySelector('.readout').textContent")
    browser.press("ArrowRight")
    second = browser.value("document.querySelector('.readout').textContent")
    assert "waiting for data" in first and first != second
    names = browser.names()
    # Each picture is told in words; each figure and each region has a name.
    for role, name in names:
        assert name or role not in ("figure", "image", "img", "region", "button", "heading"), role
    assert any("mean" in name for role, name in names if role == "group")
    browser.value("document.querySelector('.chart details').open = true")
    rows = browser.until("document.querySelectorAll('.chart details tbody tr').length")
    assert rows == len(data_of(pages["one"])["runs"][0]["over_time"][-1]["begin_s"])


@needs_browser
def test_dark_narrow_and_paper(browser: Browser, pages: dict[str, Path]) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    browser.media(dark=True)
    browser.open(pages["one"].as_uri())
    assert browser.value(colour) == "rgb(20, 23, 28)"
    browser.media()
    assert browser.until(f"{colour} === 'rgb(255, 255, 255)'")
    browser.open(pages["two"].as_uri(), width=360, height=700)
    assert browser.value("document.documentElement.scrollWidth") <= 360
    assert browser.pdf().startswith(b"%PDF")


def test_without_a_script_there_is_the_card(pages: dict[str, Path]) -> None:
    page = pages["one"].read_text()
    card = page[page.index("<noscript>") : page.index("</noscript>")]
    assert "VERDICT" in card and "<img" not in card
