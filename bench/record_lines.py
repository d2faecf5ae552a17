# SPDX-License-Identifier: Apache-2.0
"""What recording one wait from C takes, counted: instructions and cache lines.

python bench/record_lines.py build-bench/bench/record_count [WAITS]

By valgrind, so the figures are the same on every machine of a kind. callgrind counts the
instructions inside datastall_wait_record(), rows being counted now and then included; lackey lists
every access: of the distinct lines of 64 bytes that one call touches, code and data apart, the
median. When nothing is cached each of them is a miss.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FUNCTION = "datastall_wait_record"


def instructions(program: str, waits: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [
                *("valgrind", "--tool=callgrind", f"--toggle-collect={FUNCTION}"),
                f"--callgrind-out-file={Path(folder) / 'out'}",
                *(program, str(waits)),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    collected = re.search(r"Collected : (\d+)", ended.stderr)
    assert collected is not None, ended.stderr
    return int(collected[1]) / waits


#: Where valgrind puts a program: one that says where it belongs, and others (x86-64, aarch64).
BASES = (0, 0x108000, 0x400000)


def address_of(program: str) -> int:
    """Of the function in the program's file."""
    listed = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    found = re.search(rf"^([0-9a-f]+) \w {FUNCTION}$", listed, re.MULTILINE)
    assert found is not None, f"{program} has no {FUNCTION}"
    return int(found[1], 16)


def lines_per_wait(program: str, waits: int) -> tuple[float, float]:
    """Distinct lines of code and of data from one call of the function to its return, medians."""
    traced = subprocess.Popen(
        ["valgrind", "--tool=lackey", "--trace-mem=yes", "--log-fd=1", program, str(waits)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert traced.stdout is not None
    places = {base + address_of(program) for base in BASES}
    code: list[int] = []
    data: list[int] = []
    seen_code: set[int] = set()
    seen_data: set[int] = set()
    back = previous = 0  # the call's instruction, while the function runs
    for line in traced.stdout:
        kind, _, rest = line.strip().partition(" ")
        if kind not in ("I", "L", "S", "M"):
            continue
        address = int(rest.strip().split(",")[0], 16)
        if kind != "I":
            seen_data.add(address // 64)
            continue
        if address in places:
            back = previous
            seen_code.clear()
            seen_data.clear()
        elif back and 0 < address - back <= 16:  # behind the call
            code.append(len(seen_code))
            data.append(len(seen_data))
            back = 0
        previous = address
        seen_code.add(address // 64)
    traced.wait()
    return statistics.median(code), statistics.median(data)


def main() -> None:
    program = sys.argv[1]
    waits = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    print(f"{instructions(program, waits):.0f} instructions a wait, of {waits}")
    code, data = lines_per_wait(program, 300)
    print(f"{code:.0f} lines of code and {data:.0f} of data, of 64 bytes, for a wait by itself")


if __name__ == "__main__":
    main()
