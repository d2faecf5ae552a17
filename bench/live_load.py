# SPDX-License-Identifier: Apache-2.0
"""Readers against writers: 64 ranks that record 100 batches a second each, once alone and once with
four scrapers at 5 Hz and two `datastall top`.

    python bench/live_load.py BENCH_LIVE_RANKS DATASTALL [SECONDS]

Every batch has the same samples, tokens, wait and stall, so that a torn value shows as a total that
does not divide. Prints one JSON object; exit 1 when a value was torn or went back.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import multiprocessing
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

RANKS, RATE, GPUS = 64, 100, 8
SCRAPERS, SCRAPES_PER_S = 4, 5
SAMPLES, TOKENS, WAIT_NS, STALL_NS = 3, 21, 2000003, 1000001
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def family(text: bytes, name: bytes) -> dict[bytes, bytes]:
    """The series of one metric by their labels."""
    begin = text.find(b"\n" + name + b"{")
    end = text.find(b"\n# ", begin)
    lines = text[begin + 1 : end].split(b"\n") if begin >= 0 else []
    found = {}
    for line in lines:
        if line.startswith(name + b"{"):
            labels, _, value = line[len(name) :].rpartition(b" ")
            found[labels] = value
    return found


def ns(value: bytes) -> int:
    whole, _, rest = value.partition(b".")
    return int(whole) * 10**9 + int(rest.ljust(9, b"0") or 0)


def torn(text: bytes, before: dict[bytes, int]) -> int:
    """How many totals contradict each other, or are less than before."""
    batches = {k: int(v) for k, v in family(text, b"datastall_batches_total").items()}
    bad = sum(before.get(k, 0) > v for k, v in batches.items())
    for name, each in (
        (b"datastall_samples_total", SAMPLES),
        (b"datastall_tokens_total", TOKENS),
        (b"datastall_input_wait_seconds_count", 1),
    ):
        bad += sum(int(v) != each * batches[k] for k, v in family(text, name).items())
    sums = family(text, b"datastall_input_wait_seconds_sum")
    bad += sum(ns(v) != WAIT_NS * batches[k] for k, v in sums.items())
    for labels, value in family(text, b"datastall_input_stall_seconds_total").items():
        key = re.sub(rb',method="[^"]*"', b"", labels)
        bad += ns(value) != STALL_NS * batches[key]
    before.update(batches)
    return bad


def scrape(port: int, end: float, phase: float, results: multiprocessing.Queue) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Accept": "application/openmetrics-text;version=1.0.0"}
    times, bad, size, seen = [], 0, 0, 0
    before: dict[bytes, int] = {}
    due = time.monotonic() + phase
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        begin = time.monotonic()
        connection.request("GET", "/metrics", headers=headers)
        text = connection.getresponse().read()
        times.append(time.monotonic() - begin)
        bad += torn(text, before)
        seen = max(seen, len(before))
        size = max(size, len(text))
        due += 1 / SCRAPES_PER_S
    results.put((times, bad, size, seen))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


class Top:
    """`datastall top` on a terminal of its own."""

    def __init__(self, argv: list[str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, {**os.environ, "TERM": "screen", "LC_ALL": "C.UTF-8"})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        self.bytes = 0
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self) -> None:
        with contextlib.suppress(OSError):
            while got := os.read(self.fd, 65536):
                self.bytes += len(got)

    def end(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


def write(program: str, base: str, seconds: int) -> subprocess.Popen[str]:
    argv = [program, base, str(RANKS), str(RATE), str(seconds), str(GPUS)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def alone(program: str, seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as base:
        out, _ = write(program, base, seconds).communicate()
    return dict(json.loads(out))


def with_readers(program: str, datastall: str, seconds: int) -> tuple[dict, dict]:
    with tempfile.TemporaryDirectory() as base:
        writers = write(program, base, seconds)
        where = ["--dir", base]
        serve = subprocess.Popen(
            [datastall, "serve", "--listen", "127.0.0.1:0", *where],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert serve.stderr is not None
        port = int(re.search(r":(\d+)/metrics", serve.stderr.readline())[1])  # type: ignore[index]
        tops = [Top([datastall, "top", *where]) for _ in range(2)]
        time.sleep(4)  # the files are made
        begin = time.monotonic()
        used = {pid: cpu_s(pid) for pid in [serve.pid, *(top.pid for top in tops)]}
        end = begin + seconds - 3
        results: multiprocessing.Queue = multiprocessing.Queue()
        scrapers = [
            multiprocessing.Process(target=scrape, args=(port, end, 0.05 * i, results))
            for i in range(SCRAPERS)
        ]
        for scraper in scrapers:
            scraper.start()
        gathered = [results.get() for _ in scrapers]
        elapsed = time.monotonic() - begin
        shares = {pid: (cpu_s(pid) - cpu) / elapsed for pid, cpu in used.items()}
        status = Path(f"/proc/{serve.pid}/status").read_text()
        resident_kib = int(re.search(r"VmHWM:\s+(\d+)", status)[1])  # type: ignore[index]
        for top in tops:
            top.end()
        out, _ = writers.communicate()
        serve.terminate()
        serve.wait()
    times = sorted(t for result in gathered for t in result[0])
    readers = {
        "scrapes": len(times),
        "scrape_p50_ms": 1e3 * times[len(times) // 2],
        "scrape_p99_ms": 1e3 * times[int(len(times) * 0.99)],
        "scrape_max_ms": 1e3 * times[-1],
        "scrape_bytes": max(result[2] for result in gathered),
        "ranks_seen": min(result[3] for result in gathered),
        "torn": sum(result[1] for result in gathered),
        "serve_cpu_share": shares[serve.pid],
        "serve_peak_mib": resident_kib / 1024,
        "top_cpu_share": [shares[top.pid] for top in tops],
        "top_bytes_per_s": [top.bytes / seconds for top in tops],
    }
    return dict(json.loads(out)), readers


def main() -> int:
    program, datastall = (str(Path(word).resolve()) for word in sys.argv[1:3])
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    first = alone(program, seconds)
    read, readers = with_readers(program, datastall, seconds)
    second = alone(program, seconds)

    def ratio(key: str) -> float:
        return read[key] / ((first[key] + second[key]) / 2)

    keys = ("seconds", "cpu_us_per_batch", "record_p50_ns", "record_p99_ns")
    outcome = {
        "alone": [first, second],
        "with_readers": read,
        "ratios": {key: round(ratio(key), 4) for key in keys},
        "readers": readers,
    }
    print(json.dumps(outcome, indent=1))
    return 1 if readers["torn"] or readers["ranks_seen"] != RANKS else 0


if __name__ == "__main__":
    sys.exit(main())
