# SPDX-License-Identifier: Apache-2.0
"""scripts/check_links.py finds what leads nowhere (`make lint` runs it over the pages)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/check_links.py"
GOOD = """
<link rel="canonical" href="https://example.org/"><script src="a.js"></script>
<h2 id="here">x</h2><a href="#here">1</a> <a href="other.html#there">2</a> <a href="/a.js">3</a>
<a href="https://example.org/none">4</a>
"""


def checked(folder: Path) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "a.js").write_text("")
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "other.html").write_text("<p id=there></p>")
    return tmp_path


def test_a_site_in_order(site: Path) -> None:
    assert checked(site) == (0, "\n")


@pytest.mark.parametrize(
    ("added", "complaint"),
    [
        ('<a href="nowhere.html">', "nowhere.html leads to no file"),
        ('<a href="other.html#nowhere">', "other.html#nowhere leads to no heading"),
        ('<a href="#nowhere">', "#nowhere leads to no heading"),
        ('<img src="none.png">', "none.png leads to no file"),
        ('<script src="//cdn.example.org/a.js"></script>', "from a network"),
        ('<link rel="stylesheet" href="https://fonts.example.org/css">', "from a network"),
    ],
)
def test_what_leads_nowhere(site: Path, added: str, complaint: str) -> None:
    (site / "index.html").write_text(GOOD + added)
    code, said = checked(site)
    assert code == 1 and complaint in said and said.count("index.html") == 1


def test_no_page_is_no_success(tmp_path: Path) -> None:
    assert checked(tmp_path)[0] == 1


def test_pages_of_the_repository(tmp_path: Path) -> None:
    """As a forge shows them: a heading's name, code that only looks like a link."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    page = tmp_path / "a.md"
    page.write_text(
        "# What `it` is, really\n\n[up](#what-it-is-really) `[no](link)`\n\n    [no](x)\n"
    )

    def said() -> str:
        return subprocess.run(
            [sys.executable, str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True, check=False
        ).stdout.strip()

    assert said() == ""
    page.write_text(page.read_text() + "\n[b](b.md) [c](#it-is)\n")
    assert said().splitlines() == [
        "a.md: b.md leads to no file",
        "a.md: #it-is leads to no heading",
    ]
