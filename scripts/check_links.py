# SPDX-License-Identifier: Apache-2.0
"""Fails when a link leads nowhere: to a file that is not there, or a heading that its page has not.
Looks at no address of a network, and fails where a built page loads something from one.

python scripts/check_links.py             the pages of the repository, as a forge shows them
python scripts/check_links.py FOLDER      a built site
"""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

CODE = re.compile(r"^```.*?^```|^ {4}.*?$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
REMOTE = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def heading_names(text: str) -> set[str]:
    """The anchors that a forge gives to the headings of a page."""
    names: set[str] = set()
    for heading in re.findall(r"(?m)^#+ +(.+?)\s*$", re.sub(r"(?ms)^```.*?^```", "", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 1
        while name in names:
            name, number = f"{re.sub(r'-[0-9]+$', '', name)}-{number}", number + 1
        names.add(name)
    return names


class Page:
    """What a page links to, what it loads, and what of it can be linked to."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        self.path = path
        self.loads: list[str] = []
        if path.suffix == ".md":
            self.links = LINK.findall(CODE.sub("", text))
            self.names = heading_names(text)
        else:
            parser = Html()
            parser.feed(text)
            self.links, self.names, self.loads = parser.links, parser.names, parser.loads


class Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.names |= {values[name] for name in ("id", "name") if name in values}
        target = values.get("href") or values.get("src") or ""
        if not target:
            return
        if tag == "a":
            self.links.append(target)
        elif tag != "link" or values.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(target)


def pages(folder: Path | None) -> dict[Path, Page]:
    if folder is not None:
        paths = sorted(folder.rglob("*.html"))
    else:
        listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "*.md"])
        paths = [Path(name) for name in listed.decode().splitlines() if Path(name).exists()]
    return {path.resolve(): Page(path) for path in paths}


def problem_of(target: str, page: Page, known: dict[Path, Page], root: Path) -> str | None:
    """What is wrong with a link, None: nothing that can be seen from here."""
    if REMOTE.match(target):
        return None
    place, _, name = target.partition("#")
    place, name = unquote(place.partition("?")[0]), unquote(name)
    folder = root if place.startswith("/") else page.path.parent
    path = (folder / place.lstrip("/")).resolve() if place else page.path.resolve()
    if not path.exists():
        return "leads to no file"
    if name and path in known and name not in known[path].names:
        return "leads to no heading"
    return None


def main() -> int:
    site = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    known = pages(site)
    wrong = []
    for page in known.values():
        for target in page.links + page.loads:
            problem = problem_of(target, page, known, site or Path())
            if problem:
                wrong.append(f"{page.path}: {target} {problem}")
        wrong += [
            f"{page.path}: loads {t} from a network"
            for t in page.loads
            if REMOTE.match(t) and not t.startswith("data:")
        ]
    print("\n".join(wrong))
    if not known:
        print("there is no page")
    return 1 if wrong or not known else 0


if __name__ == "__main__":
    sys.exit(main())
