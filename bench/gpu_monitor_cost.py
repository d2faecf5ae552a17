# SPDX-License-Identifier: Apache-2.0
"""datastall.gpu_monitor against a hand-made monitor with the same arguments, in one run.

    python bench/gpu_monitor_cost.py [LARGEST]

Recording, statistics and resident memory at 10^4, 10^5, 10^6 and 10^7 batches (the hand-made one up
to 10^6). Logging is at its default level, so that both pay for a test and no line.
"""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datastall.gpu_monitor import NvitopMonitor


@dataclass
class Metrics:
    timestamp: float
    wait_time_ms: float
    batch_idx: int
    sequences_in_batch: int
    tokens_in_batch: int
    avg_sequence_length: float = 0.0
    max_sequence_length: int = 0
    queue_state: str = "unknown"
    packing_efficiency: float | None = None


class HandMade:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.batches: list[Metrics] = []

    def record_dataloader_wait(
        self,
        wait_time_ms: float,
        batch_idx: int,
        sequences_in_batch: int,
        tokens_in_batch: int = 0,
        avg_sequence_length: float = 0.0,
        max_sequence_length: int = 0,
        packing_efficiency: float | None = None,
    ) -> None:
        state = "full" if wait_time_ms < 1 else "starved" if wait_time_ms > 50 else "normal"
        metrics = Metrics(
            timestamp=time.time(),
            wait_time_ms=wait_time_ms,
            batch_idx=batch_idx,
            sequences_in_batch=sequences_in_batch,
            tokens_in_batch=tokens_in_batch,
            avg_sequence_length=avg_sequence_length,
            max_sequence_length=max_sequence_length,
            queue_state=state,
            packing_efficiency=packing_efficiency,
        )
        with self.lock:
            self.batches.append(metrics)

    def get_dataloader_statistics(self) -> dict[str, Any]:
        with self.lock:
            waits = sorted(m.wait_time_ms for m in self.batches)
            lengths = [m.avg_sequence_length for m in self.batches if m.avg_sequence_length > 0]
            efficiencies = [
                m.packing_efficiency for m in self.batches if m.packing_efficiency is not None
            ]
            return {
                "avg_wait_time_ms": sum(waits) / len(waits),
                "p95_wait_time_ms": waits[int(len(waits) * 0.95)],
                "starved": sum(m.queue_state == "starved" for m in self.batches),
                "avg_sequence_length": sum(lengths) / len(lengths),
                "avg_packing_efficiency": sum(efficiencies) / len(efficiencies),
                "total_sequences": sum(m.sequences_in_batch for m in self.batches),
                "total_tokens": sum(m.tokens_in_batch for m in self.batches),
            }


def record(monitor: Any, begin: int, end: int) -> float:
    """Nanoseconds a batch."""
    record_dataloader_wait = monitor.record_dataloader_wait
    began = time.perf_counter()
    for index in range(begin, end):
        record_dataloader_wait(
            wait_time_ms=5.2,
            batch_idx=index,
            sequences_in_batch=32,
            tokens_in_batch=1024,
            avg_sequence_length=32.0,
            max_sequence_length=40,
            packing_efficiency=0.8,
        )
    return (time.perf_counter() - began) / (end - begin) * 1e9


def median_us(question: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        question()
        times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times)


def resident_mib() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 / 1024


def main() -> None:
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    folder = Path(tempfile.mkdtemp())
    ours, hand_made = NvitopMonitor([0], log_file=str(folder / "gpu.log")), HandMade()
    done = 0
    for count in (10_000, 100_000, 1_000_000, 10_000_000):
        if count > largest:
            break
        # In slices that take turns, so that both see the same machine.
        step = max(1000, (count - done) // 40)
        own_ns, their_ns = [], []
        for begin in range(done, count, step):
            end = min(begin + step, count)
            own_ns.append(record(ours, begin, end))
            if count <= 1_000_000:
                their_ns.append(record(hand_made, begin, end))
        done = count
        own = statistics.median(own_ns)
        own_us = median_us(ours.get_dataloader_statistics, 21)
        line = f"{count:>10,} batches: record {own:.0f} ns"
        if their_ns:
            theirs = statistics.median(their_ns)
            line += f" against {theirs:.0f} ns ({theirs / own:.1f}x)"
        line += f"; statistics {own_us:.0f} us"
        if their_ns:
            their_us = median_us(hand_made.get_dataloader_statistics, 3)
            line += f" against {their_us:,.0f} us ({their_us / own_us:,.0f}x)"
        print(line, flush=True)
    alone()


def alone() -> None:
    """Resident memory of ours alone, from 10^5 to 10^7 batches."""
    monitor = NvitopMonitor([0], log_file=str(Path(tempfile.mkdtemp()) / "gpu.log"))
    record(monitor, 0, 100_000)
    before = resident_mib()
    record(monitor, 100_000, 10_000_000)
    print(f"resident memory from 10^5 to 10^7 batches: {resident_mib() - before:+.2f} MiB")


if __name__ == "__main__":
    main()
