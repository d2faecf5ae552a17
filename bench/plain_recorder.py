# SPDX-License-Identifier: Apache-2.0
"""The usual hand-made recorder (a dataclass appended to a list under a lock, statistics by sorting)
against the C recorder, as ratios within one run.

    python bench/plain_recorder.py BENCH_RECORD [LARGEST]

BENCH_RECORD is the built bench/bench_record; LARGEST (default 10,000,000) the longest run tried.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Metrics:
    timestamp: float
    wait_time_ms: float
    batch_idx: int
    sequences_in_batch: int
    tokens_in_batch: int
    queue_state: str = "unknown"


class PlainRecorder:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.batches: list[Metrics] = []

    def record(self, wait_time_ms: float, batch_idx: int, sequences: int, tokens: int) -> None:
        state = "full" if wait_time_ms < 1 else "starved" if wait_time_ms > 50 else "normal"
        metrics = Metrics(time.time(), wait_time_ms, batch_idx, sequences, tokens, state)
        with self.lock:
            self.batches.append(metrics)

    def statistics(self) -> dict[str, float]:
        with self.lock:
            waits = [m.wait_time_ms for m in self.batches]
            waits.sort()
            return {
                "mean": sum(waits) / len(waits),
                "p95": waits[int(len(waits) * 0.95)],
                "starved": sum(m.queue_state == "starved" for m in self.batches),
                "sequences": sum(m.sequences_in_batch for m in self.batches),
                "tokens": sum(m.tokens_in_batch for m in self.batches),
            }


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def main() -> None:
    largest = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    output = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout
    c = {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}
    plain = PlainRecorder()
    rounds = []
    for _ in range(21):
        begin = time.perf_counter()
        for index in range(5000):
            begin_wait = time.perf_counter()
            wait_ms = (time.perf_counter() - begin_wait) * 1e3
            plain.record(wait_ms, index, 32, 4000)
        rounds.append((time.perf_counter() - begin) / 5000 * 1e9)
    cost = statistics.median(rounds)
    own = c["begin_end_with_clock"]
    print(
        f"one wait, clocks included: plain Python {cost:.0f} ns, C {own:.0f} ns: {cost / own:.1f}x"
    )
    print(f"                           C without clocks {c['record_without_clock']:.0f} ns,")
    print(f"                           two clock reads {2 * c['clock_read']:.0f} ns")
    plain = PlainRecorder()
    before = resident_kib()
    for count in (10_000, 1_000_000, 10_000_000):
        if count > largest:
            break
        while len(plain.batches) < count:
            index = len(plain.batches)
            plain.record(index % 100000 * 1e-3, index, 32, 4000)
        begin = time.perf_counter()
        plain.statistics()
        took_us = (time.perf_counter() - begin) * 1e6
        own_us = c[f"statistics_after_{count}"]
        grown = (resident_kib() - before) / 1024
        print(
            f"after {count:>10,}: statistics {took_us:,.0f} us against {own_us:.1f} us "
            f"({took_us / own_us:,.0f}x); memory {grown:,.1f} MiB more "
            f"against {c[f'resident_after_{count}'] / 1024:.1f} MiB in all"
        )


if __name__ == "__main__":
    main()
