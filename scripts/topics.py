# SPDX-License-Identifier: Apache-2.0
"""Makes C of the pages in docs/ that `datastall help TOPIC` shows. Which ones, and by what name, is
in docs/topics.txt: NAME FILE a line, in the order of the list.

python scripts/topics.py OUTPUT.c docs/topics.txt

A page becomes lines, one a block, so that the program has only to break them to a width. The first
character says what a block is, the second how far it is indented ('0' + columns):

    #N text         heading of level N
    P0 text         paragraph; an item of a list has its bullet before a tab
    C0 text         a line of code
    T0 cell<TAB>... a row of a table; the first is its head

In text, \\1 begins and \\2 ends what is strong, \\3 and \\4 what is code.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

STRONG, STRONG_END, CODE, CODE_END = "\1", "\2", "\3", "\4"
ITEM = re.compile(r"( *)([-*]|\d+\.) +")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]*)\)")


def read_topics(path: Path) -> dict[str, str]:
    """Names of topics by their file, in order."""
    words = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return {file: name for name, file in filter(None, words)}


class Page:
    """The blocks of one page."""

    def __init__(self, text: str, topics: dict[str, str]) -> None:
        self.topics = topics
        self.title = ""
        self.blocks: list[str] = []
        self._open = ""  # a paragraph that goes on
        self._indent = 0  # of the list's item that is open
        self._fenced = self._blank = False
        for line in re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL).splitlines():
            self._take(line.rstrip())
        self._close()

    def _take(self, line: str) -> None:
        if line.lstrip().startswith("```"):
            self._close()
            self._fenced = not self._fenced
        elif self._fenced:
            self._code(line, 0)
        elif not line:
            self._close()
            self._add("")
            self._blank = True
        else:
            self._take_text(line)
            self._blank = False

    def _take_text(self, line: str) -> None:
        indent = len(line) - len(line.lstrip())
        item = ITEM.match(line)
        if self._blank and indent < self._indent:
            self._indent = 0
        if line.startswith("#"):
            self._heading(line)
        elif not self._open and indent >= self._indent + 4:
            self._code(line, self._indent)
        elif line.startswith("|"):
            self._row(line)
        elif item:
            self._close()
            self._indent = len(item[0])
            self._open = f"P{len(item[1])!s} {item[2]}\t{line[len(item[0]) :]}"
        elif self._open:
            self._open += " " + line.strip()
        else:
            self._open = f"P{self._indent} {line.strip()}"

    def _heading(self, line: str) -> None:
        self._close()
        self._indent = 0
        marks, text = line.split(" ", 1)
        if len(marks) == 1 and not self.title:
            self.title = re.sub(
                "[\1-\4]", "", self.inline(text).replace(CODE, "'").replace(CODE_END, "'")
            )
        self._add(f"#{len(marks)} {self.inline(text)}")

    def _row(self, line: str) -> None:
        self._close()
        if re.fullmatch(r"[|\s:-]+", line) and "-" in line:
            return
        cells = re.split(r"(?<!\\)\|", re.sub(r"`[^`]*`", lambda m: m[0].replace("|", "\0"), line))[
            1:
        ]
        cells = cells[:-1] if not cells[-1].strip() else cells
        texts = [cell.strip().replace("\0", "|").replace("\\|", "|") for cell in cells]
        self._add("T0 " + "\t".join(map(self.inline, texts)))

    def _code(self, line: str, indent: int) -> None:
        self._close()
        self._add(f"C{indent} {line if self._fenced else line[indent + 4 :]}")

    def _close(self) -> None:
        if self._open:
            head, text = self._open[:3], self._open[3:]
            self._add(head + self.inline(text))
            self._open = ""

    def _add(self, block: str) -> None:
        if block or (self.blocks and self.blocks[-1]):
            self.blocks.append(block)

    def _link(self, match: re.Match[str]) -> str:
        image, text, target = match.groups()
        if image:
            return f"[picture: {text}]"
        file, _, _ = target.partition("#")
        name = self.topics.get(file)
        if name is not None:
            words = f"`datastall help {name}`"
            return words if text.strip("`") == file else f"{text} ({words})"
        if not file or text.strip("`") == file.rsplit("/", 1)[-1] or text == file:
            return text
        return f"{text} ({file})"

    def inline(self, text: str) -> str:
        """Marks instead of Markdown's signs; no sign within code is one."""
        text = LINK.sub(self._link, text)
        parts = re.split(r"(`+)(.+?)\1", text)
        for at in range(0, len(parts), 3):  # text, ticks, code
            plain = re.sub(r"\*\*(.+?)\*\*", rf"{STRONG}\1{STRONG_END}", parts[at])
            plain = re.sub(
                r"(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])",
                rf"{STRONG}\1{STRONG_END}",
                plain,
            )
            parts[at] = re.sub(r"\bdocs/([\w-]+\.md)", self._mention, plain)
        for at in range(1, len(parts) - 1, 3):
            parts[at] = ""
            parts[at + 1] = (
                CODE + re.sub(r"^docs/([\w-]+\.md)$", self._mention, parts[at + 1]) + CODE_END
            )
        return "".join(parts)

    def _mention(self, match: re.Match[str]) -> str:
        name = self.topics.get(match[1])
        return match[0] if name is None else f"datastall help {name}"


def c_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
    escaped = re.sub("[\1-\10\t]", lambda m: f"\\{ord(m[0]):03o}", escaped)
    return '"' + escaped + '\\n"'


def main() -> int:
    output, index = map(Path, sys.argv[1:])
    topics = read_topics(index)
    rows, pages = [], []
    for number, (file, name) in enumerate(topics.items()):
        page = Page((index.parent / file).read_text(encoding="utf-8"), topics)
        blocks = "\n".join(map(c_string, page.blocks))
        pages.append(f"static const char page_{number}[] =\n{blocks};\n")
        rows.append(f'    {{"{name}", {c_string(page.title)[:-3]}", page_{number}}},\n')
    output.write_text(
        '#include "output/topic.h"\n'
        + "".join(pages)
        + "const struct topic topics[] = {\n"
        + "".join(rows)
        + "    {0},\n};\n",
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
