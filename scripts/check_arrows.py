# SPDX-License-Identifier: Apache-2.0
"""Fails when a room of src/ or python/ includes what its arrow forbids (docs/house.md), when files
include one another in a circle, or one is too long.

python scripts/check_arrows.py [ROOT]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

#: What each room may include besides itself and include/datastall.h.
ARROWS: dict[str, set[str]] = {
    "base": set(),
    "stats": {"base"},
    "runfile": {"base", "stats"},
    "run": {"base", "stats", "runfile"},
    "record": {"base", "stats", "runfile", "host"},
    "gpu": {"base", "runfile", "record"},
    "host": {"base"},
    "diagnose": {"base", "stats", "runfile", "run"},
    "output": {"base", "diagnose", "runfile", "run"},
    "cli": {"base", "stats", "runfile", "run", "record", "gpu", "host", "diagnose", "output"},
    "python": {"base", "record", "gpu", "output"},
}
#: Libraries that only the program may use, never what runs in the user's process.
PROGRAM_ONLY = {
    "jansson.h": {"output/json.c"},
    "microhttpd.h": {"cli/http.c"},
    "curses.h": {"cli/terminal.c"},
    "ncurses.h": set(),
    "term.h": {"cli/terminal.c"},
}
MAX_LINES = 600
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def files(root: Path) -> dict[str, str]:
    """The text of each file by its place: ROOM/NAME."""
    found: dict[str, str] = {}
    for folder in (root / "src", root / "python"):
        base = folder if folder.name == "src" else root
        for path in sorted([*folder.rglob("*.c"), *folder.rglob("*.h")]):
            found[path.relative_to(base).as_posix()] = path.read_text(encoding="utf-8")
    return found


def includes(place: str, text: str) -> list[tuple[str, str]]:
    """(quote, place) of what a file includes; python/ names its own files without the room."""
    room = place.split("/")[0]
    return [
        (quote, f"{room}/{name}" if (quote, room) == ('"', "python") and "/" not in name else name)
        for quote, name in INCLUDE.findall(text)
        if name != "datastall.h"
    ]


def problems_of(place: str, text: str) -> list[str]:
    found: list[str] = []
    room = place.split("/")[0]
    if room not in ARROWS:
        return [f"{place}: the room '{room}' is not in ARROWS"]
    for quote, name in includes(place, text):
        target = name.split("/")[0]
        if quote == "<" and place not in PROGRAM_ONLY.get(name, {place}):
            found.append(f"{place}: <{name}> belongs to the program only")
        if quote == "<" and name == "Python.h" and room != "python":
            found.append(f"{place}: <{name}> belongs to python/ only")
        if quote == '"' and target != room and target not in ARROWS[room]:
            found.append(f'{place}: "{name}" goes against the arrows of {room}')
    lines = text.count("\n")
    if lines > MAX_LINES:
        found.append(f"{place}: {lines} lines, at most {MAX_LINES}")
    return found


def module_of(place: str) -> str:
    """A source and its header are one."""
    return place.rsplit(".", 1)[0]


def modules(texts: dict[str, str]) -> dict[str, set[str]]:
    """What each module includes of others."""
    graph: dict[str, set[str]] = {}
    for place, text in texts.items():
        module = module_of(place)
        targets = {module_of(name) for _, name in includes(place, text) if name in texts}
        graph.setdefault(module, set()).update(targets - {module})
    return graph


def reach(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    ahead = [start]
    while ahead:
        for module in graph[ahead.pop()] - found:
            found.add(module)
            ahead.append(module)
    return found


def circles(texts: dict[str, str]) -> list[str]:
    graph = modules(texts)
    reached = {module: reach(graph, module) for module in graph}
    rings = {
        frozenset({module, *(other for other in reached[module] if module in reached[other])})
        for module in graph
        if module in reached[module]
    }
    return [f"{', '.join(sorted(ring))} include one another" for ring in sorted(rings, key=sorted)]


def problems(root: Path) -> list[str]:
    texts = files(root)
    found = [problem for place, text in texts.items() for problem in problems_of(place, text)]
    return found + circles(texts)


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    found = problems(root)
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
