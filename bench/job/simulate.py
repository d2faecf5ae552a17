# SPDX-License-Identifier: Apache-2.0
"""A job of very many ranks, for how long `show` and `merge` take and how much memory.

    python bench/job/simulate.py RUN FOLDER [--nodes 1250] [--ranks 8]

Makes FOLDER with a run for each node out of the run files of RUN (two ranks or more, such as one of
`programs.py`): the same steps with ranks, names and boots of their own, holes where the originals
have nothing. Then shows it, and prints the seconds and the most memory.
"""

from __future__ import annotations

import argparse
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

DATASTALL = Path(sys.executable).parent / "datastall"
PAGE = 4096
#: As src/runfile/layout.h has them: of the header, and of struct rf_process_static in its block.
BOOT_ID, CHECKSUM, SECTIONS = 48, 104, 112
HEADER = SECTIONS + 24 * 128
STATIC_WORDS = 2 + 2 * 384 + 40 + 2 * 66
RANK, WORLD, HOSTNAME = 4 * 8, 6 * 8, 16 * 8
NODE = HOSTNAME + 64 + 64 + 512 + 2048 + 256 + 128


def checksum(header: bytearray) -> int:
    value = 0xCBF29CE484222325
    for byte in header[:CHECKSUM] + bytes(8) + header[CHECKSUM + 8 :]:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


class Template:
    """The pages of a run file that hold anything."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self.size = len(data)
        self.pages = {
            at: bytearray(data[at : at + PAGE])
            for at in range(0, len(data), PAGE)
            if data[at : at + PAGE].strip(b"\0")
        }
        count = struct.unpack_from("<I", data, 20)[0]
        for section in range(count):
            at = SECTIONS + section * (8 + 3 * 8 + 12 * 8)
            kind, offset = struct.unpack_from("<I4xQ", data, at)
            if kind == 1:
                self.static = offset + STATIC_WORDS * 8

    def put(self, at: int, value: bytes) -> None:
        for index, byte in enumerate(value):
            page = (at + index) // PAGE * PAGE
            self.pages.setdefault(page, bytearray(PAGE))[at + index - page] = byte

    def write(self, path: Path) -> None:
        with path.open("wb", buffering=0) as file:
            for at, page in self.pages.items():
                file.seek(at)
                file.write(page)
            file.truncate(self.size)


def simulate(run: Path, folder: Path, nodes: int, ranks: int) -> None:
    files = [one for one in sorted(run.glob("*.dsrun")) if one.name != "launcher.dsrun"]
    templates = [Template(one) for one in files]
    templates = [t for t in templates if struct.unpack("<Q", read(t, RANK, 8))[0] < 2**32]
    for node in range(nodes):
        place = folder / f"20261128-000000-node{node:05}"
        place.mkdir(parents=True)
        boot = f"{node:08x}-0000-0000-0000-000000000000".encode()
        for local in range(ranks):
            one = templates[local % len(templates)]
            one.put(BOOT_ID, boot)
            one.put(CHECKSUM, struct.pack("<Q", checksum(one.pages[0][:HEADER])))
            one.put(one.static + RANK, struct.pack("<Q", node * ranks + local))
            one.put(one.static + WORLD, struct.pack("<Q", nodes * ranks))
            for name in (HOSTNAME, NODE):
                one.put(one.static + name, f"node{node:05}".encode() + b"\0")
            one.write(place / f"{1000 + local}-{node:08x}.dsrun")


def read(template: Template, at: int, size: int) -> bytes:
    at += template.static
    return bytes(
        template.pages.get((at + i) // PAGE * PAGE, bytearray(PAGE))[(at + i) % PAGE]
        for i in range(size)
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nodes", type=int, default=1250)
    parser.add_argument("--ranks", type=int, default=8)
    options = parser.parse_args()
    simulate(options.run, options.folder, options.nodes, options.ranks)
    began = time.perf_counter()
    subprocess.run([DATASTALL, "show", f"{options.folder}/"], check=True)
    took_s = time.perf_counter() - began
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"{options.nodes * options.ranks} ranks: {took_s:.1f} s, {most / 1024:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
