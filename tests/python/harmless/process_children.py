# SPDX-License-Identifier: Apache-2.0
"""Interpreters that a program starts, with their own flags and environments."""

import os
import subprocess
import sys

program = (
    "import sys; print(sys.argv, sys.flags.isolated, sys.flags.no_site, 'datastall' in sys.modules)"
)
for flags in ([], ["-I"], ["-E"], ["-S"], ["-s", "-B"]):
    print(
        subprocess.run([sys.executable, *flags, "-c", program, "x"], capture_output=True, text=True)
    )
print(
    subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True).stdout
)
print(subprocess.run([sys.executable, "-c", "1/0"], capture_output=True, text=True))
print(os.waitstatus_to_exitcode(os.system(f"{sys.executable} -c 'raise SystemExit(3)'")))
