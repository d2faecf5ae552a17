"""Fails when a room of src/ includes what its arrow forbids (docs/house.md), or a file is too long.

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


def problems(root: Path) -> list[str]:
    found: list[str] = []
    source = root / "src"
    for path in sorted([*source.rglob("*.c"), *source.rglob("*.h")]):
        place = path.relative_to(source).as_posix()
        room = place.split("/")[0]
        text = path.read_text(encoding="utf-8")
        if room not in ARROWS:
            found.append(f"{place}: the room '{room}' is not in ARROWS")
            continue
        for quote, name in INCLUDE.findall(text):
            target = name.split("/")[0]
            if quote == "<" and place not in PROGRAM_ONLY.get(name, {place}):
                found.append(f"{place}: <{name}> belongs to the program only")
            inner = quote == '"' and name != "datastall.h" and target != room
            if inner and target not in ARROWS[room]:
                found.append(f'{place}: "{name}" goes against the arrows of {room}')
        lines = text.count("\n")
        if lines > MAX_LINES:
            found.append(f"{place}: {lines} lines, at most {MAX_LINES}")
    return found


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    found = problems(root)
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
