# SPDX-License-Identifier: Apache-2.0
"""``python -m datastall ...``: the program ``datastall``, also where it is not on the PATH."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import sysconfig
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def _program() -> str | None:
    """The one that was installed with this package comes first: PREFIX/bin/datastall for
    PREFIX/lib/pythonX.Y/site-packages/datastall, or bin/ beside the package (pip --target)."""
    folders = [parent / "bin" for parent in PACKAGE.parents[3:4]]
    folders += [PACKAGE.parent / "bin", Path(sysconfig.get_path("scripts"))]
    for folder in folders:
        if os.access(folder / "datastall", os.X_OK):
            return str(folder / "datastall")
    return shutil.which("datastall")


def main() -> int:
    program = _program()
    if program is None:
        print(f"datastall: no program datastall lies beside {PACKAGE}", file=sys.stderr)
        return 1
    os.environ.setdefault("DATASTALL_PACKAGE_DIR", str(PACKAGE))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and a command must not
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program, ["datastall", *sys.argv[1:]])
    except OSError as error:
        print(f"datastall: cannot run {program}: {error.strerror}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
