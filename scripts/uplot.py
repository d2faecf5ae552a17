# SPDX-License-Identifier: Apache-2.0
"""The files of third_party/uPlot/: compares them with what npm has published.

python scripts/uplot.py --check    the files are the pinned ones (no network)
python scripts/uplot.py --fetch    get the pinned package from npm, check it, and write the files
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.6.32"
#: What the registry says of the package: npm view uplot@VERSION dist.integrity
INTEGRITY = (
    "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy"
    "+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="
)
#: Path in the package: SHA-256 of the file.
FILES = {
    "package/dist/uPlot.iife.min.js": (
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"
    ),
    "package/dist/uPlot.min.css": (
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"
    ),
    "package/LICENSE": ("8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"),
}
FOLDER = Path(__file__).parents[1] / "third_party" / "uPlot"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check() -> int:
    wrong = []
    for path, wanted in FILES.items():
        file = FOLDER / Path(path).name
        if not file.exists() or digest(file.read_bytes()) != wanted:
            wrong.append(file)
    for file in wrong:
        print(f"{file}: not that of uPlot {VERSION}; scripts/uplot.py --fetch gets it")
    return 1 if wrong else 0


def fetch() -> int:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", f"uplot@{VERSION}"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        package = next(Path(folder).glob("*.tgz")).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != INTEGRITY:
        print(f"uplot {VERSION}: npm gave a package with {found}, not {INTEGRITY}")
        return 1
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for path in FILES:
            member = archive.extractfile(path)
            assert member is not None
            data = member.read()
            (FOLDER / Path(path).name).write_bytes(data)
            print(f"{path}: {digest(data)}")
    return check()


def main() -> int:
    if sys.argv[1:] == ["--fetch"]:
        return fetch()
    if sys.argv[1:] == ["--check"]:
        return check()
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
