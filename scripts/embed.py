# SPDX-License-Identifier: Apache-2.0
"""Makes C of the files in web/: the style and the script of a page, as text, and their hashes for
its content security policy.

python scripts/embed.py OUTPUT.c FILE.css... FILE.js...
"""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path


def together(paths: list[Path]) -> bytes:
    text = b"\n".join(path.read_bytes().strip() for path in paths) + b"\n"
    for forbidden in (b"</script", b"</style", b"<!--"):
        if forbidden in text.lower():
            sys.exit(f"embed: {forbidden.decode()} would end the element that the text stands in")
    return text


def source_of(text: bytes) -> str:
    """The hash that a policy has of an element's text."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text).digest()).decode() + "'"


def array(name: str, text: bytes) -> str:
    rows = [
        ",".join(str(byte) for byte in text[start : start + 64])
        for start in range(0, len(text), 64)
    ]
    return f"const char {name}[] = {{\n" + ",\n".join(rows) + ",0};\n"


def main() -> int:
    output, *names = map(Path, sys.argv[1:])
    style = together([name for name in names if name.suffix == ".css"])
    script = together([name for name in names if name.suffix == ".js"])
    output.write_text(
        '#include "output/page.h"\n'
        + array("page_style", style)
        + array("page_script", script)
        + f'const char page_style_source[] = "{source_of(style)}";\n'
        + f'const char page_script_source[] = "{source_of(script)}";\n',
        encoding="ascii",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
