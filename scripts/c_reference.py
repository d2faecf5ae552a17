# SPDX-License-Identifier: Apache-2.0
"""Makes a page of include/datastall.h: every function, type, macro and constant with its comment.

python scripts/c_reference.py > PAGE.md

Needs libclang (scripts/requirements-docs.txt). Exit 1 where a function has no comment.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from clang.cindex import Cursor, CursorKind, Index

HEADER = Path(__file__).resolve().parents[1] / "include/datastall.h"
SECTION = re.compile(r"^/\* ---- (.+?) -{3,}(.*?)\*/", re.MULTILINE | re.DOTALL)
#: A comment and the macro behind it, or before its comment.
MACRO = re.compile(
    r"(?:/\*\*(?P<above>(?:(?!\*/).)*)\*/\n)?"
    r"#define (?P<name>DATASTALL_\w+)(?P<value>(?:\\\n|[^\n])*)",
    re.DOTALL,
)


def plain(comment: str | None) -> str:
    """What a comment says, without its stars; names of the library as code."""
    if not comment:
        return ""
    text = re.sub(r"^/\*+<?|\*+/$", "", comment.strip())
    text = re.sub(r"(?m)^[ \t]*\* ?", "", text)
    text = " ".join(text.split())
    text = re.sub(r"'(datastall help [\w-]+)'", r"`\1`", text)
    names = r"DATASTALL_[A-Z_]+\b|datastall_\w+(?:\(\))?|NULL\b|\$\w+|\*\w+"
    return re.sub(rf"(?<![\w`$])(?:{names})", r"`\g<0>`", text)


def cell(text: str) -> str:
    return text.replace("|", "\\|")


class Reference:
    def __init__(self) -> None:
        self.text = HEADER.read_text(encoding="utf-8")
        # libclang comes without the compiler's own headers.
        stddef = "/libclang/stddef.h", "typedef unsigned long size_t;\n"
        unit = Index.create().parse(
            str(HEADER), args=["-xc", "-std=gnu11", "-I/libclang"], unsaved_files=[stddef]
        )
        self.cursors = [
            cursor
            for cursor in unit.cursor.get_children()
            if cursor.location.file and cursor.location.file.name == str(HEADER)
        ]
        self.undocumented: list[str] = []

    def source(self, cursor: Cursor) -> str:
        extent = cursor.extent
        return self.text[extent.start.offset : extent.end.offset]

    def page(self) -> Iterator[str]:
        yield "# The C library\n"
        yield (
            "`#include <datastall.h>`, link `-ldatastall` "
            "(`pkg-config --cflags --libs datastall`). This page is made from the header.\n"
        )
        yield from self.contract()
        yield "\n## Constants\n"
        listed = False
        for _, part in self.parts():
            yield "\n" + part if part.startswith("- ") and not listed else part
            listed = part.startswith("- ")

    def contract(self) -> Iterator[str]:
        """The comment at the top of the header."""
        comment = self.text[: self.text.index("*/")]
        comment = re.sub(r"(?m)^(/\*| \*) ?", "", comment)
        body = comment[comment.index("This is the only") :]
        yield "## Contract\n"
        yield re.sub(r"(?m)^- ", "\n- ", body)

    def parts(self) -> list[tuple[int, str]]:
        """All that is documented, in the order of the header."""
        found = [(m.start(), self.section(m)) for m in SECTION.finditer(self.text)]
        found += [(m.start(), self.macro(m)) for m in MACRO.finditer(self.text) if self.is_told(m)]
        for cursor in self.cursors:
            told = self.declaration(cursor)
            if told:
                found.append((cursor.extent.start.offset, told))
        return sorted(found)

    def section(self, match: re.Match[str]) -> str:
        title = match[1].split(". X(")[0].split(":")[0]
        text = re.sub(r"(?m)^ ?\*? ?", "", match[2]).strip("\n- ")
        text = re.sub(r"'(datastall help [\w-]+)'", r"`\1`", text)
        return f"\n## {title[0].upper() + title[1:]}\n\n{text}\n"

    @staticmethod
    def is_told(match: re.Match[str]) -> bool:
        hidden = ("DATASTALL_H", "DATASTALL_API", "DATASTALL_ERROR_ENUM", "DATASTALL_RESERVED")
        return not match["name"].startswith(hidden) and match["name"] != "DATASTALL_STATIC"

    def macro(self, match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        if value.startswith("(X)"):
            rows = re.findall(r'X\((\w+), (-?\d+), "([^"]*)"\)', value)
            lines = [f"| `DATASTALL_{code}` | {number} | {text} |" for code, number, text in rows]
            return "\n".join(["\n| code | | sentence |\n|---|---|---|", *lines, ""])
        behind = re.search(
            r"/\*\*<(.*?)\*/", value + self.text[match.end() : match.end() + 400], re.DOTALL
        )
        said = plain(match["above"]) or (plain(behind[1]) if behind and "/**<" in value else "")
        value = " ".join(re.sub(r"/\*.*", "", value.replace("\\\n", " "), flags=re.DOTALL).split())
        if name.endswith("_INIT"):
            return f"- `{name}`: what such a struct begins with"
        return f"- `{name}` = `{value}`" + (f": {said}" if said else "")

    def declaration(self, cursor: Cursor) -> str:
        if cursor.kind == CursorKind.FUNCTION_DECL:
            return self.function(cursor)
        if cursor.kind == CursorKind.STRUCT_DECL and cursor.is_definition():
            return self.struct(cursor)
        if cursor.kind == CursorKind.ENUM_DECL and cursor.spelling != "datastall_error":
            rows = [
                f"| `{c.spelling}` | {c.enum_value} | {cell(plain(c.raw_comment))} |"
                for c in cursor.get_children()
            ]
            said = plain(cursor.raw_comment)
            head = f"\n### enum {cursor.spelling}\n\n{said}\n\n| | | |\n|---|---|---|"
            return "\n".join([head, *rows, ""])
        return ""

    def function(self, cursor: Cursor) -> str:
        said = plain(cursor.raw_comment)
        if not said:
            self.undocumented.append(cursor.spelling)
        signature = re.sub(r"DATASTALL_API\s*", "", " ".join(self.source(cursor).split()))
        if len(signature) > 88:  # an argument a line
            signature = signature.replace("(", "(\n    ", 1).replace(", ", ",\n    ")
        if (
            cursor.result_type.spelling == "int"
            and "eturns" not in said
            and not said.startswith("0 ")
        ):
            said += (
                " *Returns* 0, or a negative [error](#errors) whose sentence "
                "`datastall_last_error()` has."
            )
        return f"\n### {cursor.spelling}()\n\n```c\n{signature};\n```\n\n{said}\n"

    def struct(self, cursor: Cursor) -> str:
        rows = []
        said = ""
        fields = list(cursor.get_children())
        for field in fields:
            if field.kind != CursorKind.FIELD_DECL or field.spelling.startswith("reserved"):
                continue
            said = plain(field.raw_comment) or self.shared_comment(field)
            rows.append(f"| `{field.spelling}` | `{field.type.spelling}` | {cell(said)} |")
        head = f"\n### struct {cursor.spelling}\n\n{plain(cursor.raw_comment)}\n"
        return "\n".join([head, "| field | type | |\n|---|---|---|", *rows, ""])

    def shared_comment(self, field: Cursor) -> str:
        """`double a, b; /**< percent */` says it of both."""
        line = self.text[field.extent.end.offset :].split("\n", 1)[0]
        match = re.search(r"/\*\*<(.*?)(?:\*/|$)", line)
        return plain(match[1]) if match else ""


def main() -> int:
    reference = Reference()
    sys.stdout.write("\n".join(reference.page()))
    for name in reference.undocumented:
        print(f"c_reference: {name}() has no comment", file=sys.stderr)
    return 1 if reference.undocumented else 0


if __name__ == "__main__":
    sys.exit(main())
