# SPDX-License-Identifier: Apache-2.0
"""The page of `datastall serve`, in a real browser, and the document that it reads."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from live import serving, until
from support import DATASTALL, PYTHON, finish, recorded, run_folders, start, write

NAME = "<img src=x onerror=document.title='hurt'>"
TRAINING = """
import pathlib, time
from torch.utils.data import DataLoader
class Slow:
    def __len__(self): return 50
    def __getitem__(self, index):
        time.sleep(0.005)
        return index
while not pathlib.Path("enough").exists():
    for batch in DataLoader(Slow(), batch_size=2): time.sleep(0.002)
    pathlib.Path("begun").touch()
"""


@contextmanager
def training(folder: Path) -> Iterator[None]:
    write(folder, "prog.py", TRAINING)
    process = start([DATASTALL, "run", "--name", NAME, PYTHON, "prog.py"], folder)
    try:
        until("training begins", lambda: (folder / "begun").exists())
        yield
    finally:
        (folder / "enough").touch()
        assert finish(process).code == 0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def test_page_shows_runs_as_they_go_on(tmp_path: Path, browser: Browser) -> None:
    recorded(tmp_path, "-c", "import datastall\nfor b in datastall.watch([1, 2]): pass\n")
    with training(tmp_path), serving(tmp_path) as served:
        browser.open(served.url + "/")
        browser.until("document.querySelectorAll('tr[data-run]').length === 2")
        # What runs stands first and is looked at.
        first = "document.querySelector('tr[data-run]')"
        assert NAME in browser.value(f"{first}.innerText")
        assert "running" in browser.value(f"{first}.innerText")
        assert browser.value(f"{first}.className") == "chosen"
        batches = "Number([...document.querySelectorAll('table')].find(t => t.caption.innerText ==="
        batches += " 'Loaders').tBodies[0].rows[0].cells[3].innerText.replace(/,/g, ''))"
        before = browser.until(batches)
        browser.until(f"{batches} > {before}")
        assert browser.value("document.querySelectorAll('canvas').length") >= 3
        text = browser.value("document.body.innerText")
        assert "severe" in text and "CAUSE" in text and "TRY" in text
        # The other run, with the keyboard: its figures are those of an ended one.
        browser.value("document.querySelectorAll('tr[data-run] button')[1].focus()")
        browser.press("Enter")
        ended = run_folders(tmp_path)[0].name
        browser.until(f"document.querySelector('h2').innerText === {json.dumps(ended)}")
        assert browser.value("decodeURIComponent(location.hash.slice(1))") == ended
        browser.value(
            "(() => { const f = document.querySelector('input'); f.value = 'nothing such';"
            "f.dispatchEvent(new Event('input')); })()"
        )
        assert browser.value("document.querySelectorAll('tr[data-run]').length") == 0
        assert {address.split("/")[2] for address in browser.asked} == {served.url.split("/")[2]}
        assert browser.complaints == []
        assert browser.value("document.title") != "hurt"
        assert browser.value("document.querySelectorAll('img').length") == 0


def read(url: str) -> dict:
    with urllib.request.urlopen(url + "/live.json", timeout=60) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Frame-Options"] == "DENY"
        return json.load(answer)


def running(document: dict) -> dict | None:
    """Once its last whole second was waited in."""
    runs = document["runs"]
    return document if runs and (runs[0]["stall"][-1] or 0) > 50 else None


def test_a_hundred_pages_share_one_reading_a_second(tmp_path: Path) -> None:
    """And whoever reads for long reads no more of the run's files than one page does."""
    with training(tmp_path), serving(tmp_path) as served:
        read(served.url)
        seen: set[int] = set()
        began = time.monotonic()

        def page() -> None:
            for _ in range(20):
                seen.add(read(served.url)["time_ms"])

        pages = [threading.Thread(target=page) for _ in range(100)]
        for one in pages:
            one.start()
        for one in pages:
            one.join()
        # 2,000 answers; a document is made when the one before is 0.9 s old.
        assert len(seen) <= (time.monotonic() - began) / 0.9 + 2


def test_the_document_says_what_show_says(tmp_path: Path) -> None:
    with training(tmp_path), serving(tmp_path) as served:
        document = until("waits are seen", lambda: running(read(served.url)))
        run = document["runs"][0]
        assert document["schema"] == 1 and document["count"] == 1
        assert (run["state"], run["name"], run["severity"]) == ("running", NAME, "severe")
        assert len(run["stall"]) == 60 and run["stall"][-1] > 50
        assert run["processes"] == len(run["ranks"]) == 1
        assert run["loaders"][0]["batches"] > 0


def test_same_password_as_metrics(tmp_path: Path) -> None:
    secret = tmp_path / "users"
    secret.write_text("ada:lovelace\n")
    secret.chmod(0o600)
    with serving(tmp_path, "--auth-file", str(secret)) as served:
        for path in ("/", "/live.json", "/metrics"):
            assert served.get(path)[0] == 401, path
            request = urllib.request.Request(served.url + path)
            token = base64.b64encode(b"ada:lovelace").decode()
            request.add_header("Authorization", f"Basic {token}")
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.status == 200
