# SPDX-License-Identifier: Apache-2.0
"""The tables of counters in docs/run-file.md, made from src/runfile/counters.h.

python scripts/counters_table.py            prints them
python scripts/counters_table.py --write    puts them where the page has them
python scripts/counters_table.py --check    exit 1 when the page has others
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = ROOT / "src/runfile/counters.h"
PAGE = ROOT / "docs/run-file.md"
BEGIN, END = "<!-- {} counters: begin -->\n", "<!-- {} counters: end -->\n"
ROW = re.compile(r'X\((\w+), ([\w]+), (\w+), (\w+), "(\w+)",\s*((?:"[^"]*"\s*)+)\)')
KEPT = {"SECOND": "second, stage, run", "STAGE": "stage, run", "RUN": "run"}
#: How two values become one, in words.
COMBINED = {
    "SUM": "sum",
    "KNOWN_SUM": "sum of what is known",
    "MAX": "largest",
    "MIN": "smallest",
    "REAL_SUM": "sum of doubles",
    "REAL_MIN": "smallest double",
}


def rows_of(part: str) -> list[tuple[str, ...]]:
    text = HEADER.read_text(encoding="utf-8").replace("\\\n", " ")
    body = re.search(rf"#define RF_{part}_COUNTERS\(X\)(.*)", text)
    assert body is not None, part
    return [
        (
            f"`{name}`" + ("" if words == "1" else f" [{words}]"),
            unit,
            COMBINED[op],
            "".join(re.findall(r'"([^"]*)"', meaning)),
        )
        for name, words, op, _, unit, meaning in ROW.findall(body[1])
    ]


def table_of_waits() -> str:
    lines = ["| counter | unit | kept per | over slots | |", "|---|---|---|---|---|"]
    for part, kept in KEPT.items():
        for name, unit, combined, said in rows_of(part):
            lines.append(f"| {name} | {unit} | {kept} | {combined} | {said} |")
    return "\n".join(lines) + "\n"


def table_of_workers() -> str:
    lines = ["| counter | unit | over workers | |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows_of("WORKER")]
    return "\n".join(lines) + "\n"


def table_of_steps() -> str:
    lines = ["| counter | unit | over threads | |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows_of("STEP")]
    return "\n".join(lines).replace("[STEP_PHASE_COUNT]", "[phases]") + "\n"


def page_with_tables(page: str) -> str:
    tables = {"wait": table_of_waits(), "worker": table_of_workers(), "step": table_of_steps()}
    for part, table in tables.items():
        head, rest = page.split(BEGIN.format(part))
        tail = rest.split(END.format(part))[1]
        page = head + BEGIN.format(part) + table + END.format(part) + tail
    return page


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    if "--write" in sys.argv:
        PAGE.write_text(page_with_tables(page), encoding="utf-8")
    elif "--check" in sys.argv:
        if page != page_with_tables(page):
            print(f"{PAGE.name} lacks what {HEADER.name} says: scripts/counters_table.py --write")
            return 1
    else:
        print(table_of_waits(), table_of_workers(), table_of_steps(), sep="\n", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
