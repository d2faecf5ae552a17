"""The table of counters in docs/run-file.md, made from src/runfile/counters.h.

python scripts/counters_table.py            prints it
python scripts/counters_table.py --write    puts it where the page has it
python scripts/counters_table.py --check    exit 1 when the page has another one
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = ROOT / "src/runfile/counters.h"
PAGE = ROOT / "docs/run-file.md"
BEGIN, END = "<!-- counters: begin -->\n", "<!-- counters: end -->\n"
ROW = re.compile(r'X\((\w+), ([\w]+), (\w+), (\w+), "(\w+)",\s*((?:"[^"]*"\s*)+)\)')
KEPT = {"SECOND": "second, stage, run", "STAGE": "stage, run", "RUN": "run"}
#: How two values become one, in words.
COMBINED = {
    "SUM": "sum",
    "MAX": "largest",
    "MIN": "smallest",
    "REAL_SUM": "sum of doubles",
    "REAL_MIN": "smallest double",
}


def table() -> str:
    text = HEADER.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = ["| counter | unit | kept per | over slots | |", "|---|---|---|---|---|"]
    for part, kept in KEPT.items():
        body = re.search(rf"#define RF_{part}_COUNTERS\(X\)(.*)", text)
        assert body is not None, part
        for name, words, op, _, unit, meaning in ROW.findall(body[1]):
            said = "".join(re.findall(r'"([^"]*)"', meaning))
            several = "" if words == "1" else f" [{words}]"
            lines.append(f"| `{name}`{several} | {unit} | {kept} | {COMBINED[op]} | {said} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    old, tail = rest.split(END)
    if "--write" in sys.argv:
        PAGE.write_text(head + BEGIN + table() + END + tail, encoding="utf-8")
    elif "--check" in sys.argv:
        if old != table():
            print(f"{PAGE.name} lacks what {HEADER.name} says: scripts/counters_table.py --write")
            return 1
    else:
        print(table(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
