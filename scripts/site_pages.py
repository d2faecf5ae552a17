# SPDX-License-Identifier: Apache-2.0
"""Puts the pages of the documentation site together: what the repository has, and references that
are made of the header, of the package's docstrings and of the program's own help.

python scripts/site_pages.py FOLDER PROGRAM
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Pages that lie elsewhere or are called otherwise, by their place in the repository.
RENAMED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changes.md",
}
#: For the package index, not for the site.
LEFT_OUT = {"docs/pypi.md"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
MODULES = (
    "datastall",
    "datastall.gpu_monitor",
    "datastall.integrations",
    "datastall.integrations.lightning",
    "datastall.integrations.transformers",
    "datastall.integrations.tensorboard",
    "datastall.integrations.wandb",
    "datastall.integrations.mlflow",
)


def sources() -> dict[Path, str]:
    """Names on the site by where a page or a picture lies."""
    found = {ROOT / place: name for place, name in RENAMED.items()}
    for path in sorted((ROOT / "docs").iterdir()):
        if path.suffix in (".md", ".png", ".css") and f"docs/{path.name}" not in LEFT_OUT:
            found[path] = path.name
    return found


def relink(page: Path, names: dict[Path, str]) -> str:
    """The page's text; a link to what the site has not becomes text."""

    def link(match: re.Match[str]) -> str:
        image, text, target, anchor = match.groups()
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        name = names.get((page.parent / target).resolve())
        if name is None:
            return text if text.strip("`") in target else f"{text} (`{target}`)"
        return f"{image}[{text}]({name}{anchor or ''})"

    return LINK.sub(link, page.read_text(encoding="utf-8"))


def commands_page(program: str) -> str:
    """What the program says of each command."""
    overview = subprocess.check_output([program, "help"], text=True)
    commands = re.findall(r"(?m)^  datastall (\w+) +(.+)$", overview)
    parts = ["# Commands\n", "As `datastall help COMMAND` and the man page have them.\n"]
    for name, summary in commands:
        text = subprocess.check_output([program, "help", name], text=True)
        parts.append(f"## datastall {name}\n\n{summary}\n\n```text\n{text}```\n")
    return "\n".join(parts)


def python_page() -> str:
    parts = [
        "# Python\n",
        "Every public name, from its docstring. `help(datastall)` says the same.\n",
    ]
    for module in MODULES:
        # Some of its methods are C; the integrations cannot be imported without their libraries.
        inspected = module == "datastall.gpu_monitor"
        options = (
            "    options: {force_inspection: true, inherited_members: true}\n" if inspected else ""
        )
        parts.append(f"::: {module}\n{options}")
    return "\n".join(parts)


def main() -> int:
    folder, program = Path(sys.argv[1]), sys.argv[2]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = sources()
    for path, name in names.items():
        if path.suffix == ".md":
            (folder / name).write_text(relink(path, names), encoding="utf-8")
        else:
            shutil.copy(path, folder / name)
    shutil.copy(ROOT / "third_party/iframe-worker/shim.js", folder / "iframe-worker.js")
    (folder / "commands.md").write_text(commands_page(program), encoding="utf-8")
    (folder / "python.md").write_text(python_page(), encoding="utf-8")
    reference = subprocess.run(
        [sys.executable, str(ROOT / "scripts/c_reference.py")], stdout=subprocess.PIPE, check=True
    )
    (folder / "c.md").write_bytes(reference.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
