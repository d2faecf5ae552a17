# SPDX-License-Identifier: Apache-2.0
"""What mkdocs does not do by itself for the site (mkdocs.yml): see each function."""

from __future__ import annotations

import re
from typing import Any

SHIM = "https://unpkg.com/iframe-worker/shim"


def on_page_content(html: str, **_: Any) -> str:
    """Docstrings name other names as Sphinx has it: :func:`watch`."""
    html = re.sub(r":(?:func|class|meth|mod|data|attr):(<code>)~?", r"\1", html)
    return re.sub(r"::</p>", ":</p>", html)


def on_post_page(output: str, **_: Any) -> str:
    """The theme loads what search needs in a folder from a network; the site has its own."""
    return output.replace(SHIM, "iframe-worker.js")


def on_post_template(output: str, template_name: str, **_: Any) -> str:
    """The same for the page of what a server does not find, wherever that was looked for."""
    return output.replace(SHIM, "/iframe-worker.js") if template_name == "404.html" else output
