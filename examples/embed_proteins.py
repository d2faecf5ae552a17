# SPDX-License-Identifier: Apache-2.0
"""Embeds the proteins of a FASTA file in length-sorted, token-packed batches, and watches itself.

An inference runner as several projects have one, written for a hand-made GPU monitor; only the
import line names datastall. Uses every method of the monitor.

    python embed_proteins.py [FASTA[.gz]] [--passes N] [--metrics FOLDER]

Default FASTA: 381 records of a metagenome assembly that the package pyrodigal ships.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from datastall.gpu_monitor import GPUMonitor, NvitopMonitor, infer_queue_state
from torch import nn
from torch.utils.data import DataLoader, Dataset

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
TOKENS_PER_BATCH = 4096
LONGEST = 1022  # longer ones are cut, as for ESM-2
PAD = 0

Batch = tuple[torch.Tensor, list[int]]


def default_fasta() -> Path:
    spec = importlib.util.find_spec("pyrodigal")
    if spec is None or spec.origin is None:
        raise SystemExit("name a FASTA file, or: pip install --no-deps pyrodigal")
    return Path(spec.origin).parent / "tests" / "data" / "MIIJ01000039.meta.faa.gz"


def read_fasta(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        parts: list[str] = []
        for line in file:
            if line.startswith(">"):
                if parts:
                    yield "".join(parts)
                parts = []
            else:
                parts.append(line.strip().rstrip("*"))
        if parts:
            yield "".join(parts)


class PackedBatches(Dataset[Batch]):
    """Item i is batch i: sequences sorted by length, as many as fit TOKENS_PER_BATCH padded."""

    def __init__(self, sequences: list[str]) -> None:
        self.batches: list[list[str]] = []
        for sequence in sorted(sequences, key=len, reverse=True):
            batch = self.batches[-1] if self.batches else None
            if batch is None or (len(batch) + 1) * len(batch[0]) > TOKENS_PER_BATCH:
                self.batches.append([sequence])
            else:
                batch.append(sequence)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        sequences = self.batches[index]
        lengths = [len(sequence) for sequence in sequences]
        tokens = torch.full((len(sequences), max(lengths)), PAD)
        for row, sequence in enumerate(sequences):
            codes = [LETTERS.find(letter) + 2 for letter in sequence]
            tokens[row, : len(codes)] = torch.tensor(codes)
        return tokens, lengths


class Embedder(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS) + 2, width, padding_idx=PAD)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True, dropout=0.0)
        self.encode = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        padding = tokens == PAD
        states = self.encode(self.embed(tokens), src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1)
        return (states * kept).sum(1) / kept.sum(1)


def run(monitor: NvitopMonitor, loader: DataLoader[Batch], passes: int, device: str) -> int:
    model = Embedder().to(device).eval()
    batch_idx = done = 0
    monitor.start_inference_timer()
    for _ in range(passes):
        batches = iter(loader)
        while True:
            began = time.perf_counter()
            try:
                tokens, lengths = next(batches)
            except StopIteration:
                break
            wait_ms = (time.perf_counter() - began) * 1000
            monitor.record_dataloader_wait(
                wait_time_ms=wait_ms,
                batch_idx=batch_idx,
                sequences_in_batch=len(lengths),
                tokens_in_batch=sum(lengths),
                avg_sequence_length=sum(lengths) / len(lengths),
                max_sequence_length=max(lengths),
                packing_efficiency=sum(lengths) / tokens.numel(),
            )
            with torch.inference_mode():
                model(tokens.to(device))
            done += len(lengths)
            if batch_idx % 20 == 19:
                monitor.check_bottleneck(recent_samples=5)
                throughput = monitor.get_throughput()
                print(
                    f"batch {batch_idx}: {throughput['sequences_per_sec']:.1f} sequences/s, "
                    f"{throughput['tokens_per_sec']:.0f} tokens/s, "
                    f"last wait {wait_ms:.2f} ms ({infer_queue_state(wait_ms)})"
                )
            batch_idx += 1
    return done


def report(monitor: NvitopMonitor, sequences: int, seconds: float, folder: Path) -> None:
    waits = monitor.get_dataloader_statistics()
    print(
        f"waits: mean {waits['avg_wait_time_ms']:.2f} ms, p95 {waits['p95_wait_time_ms']:.2f} ms, "
        f"max {waits['max_wait_time_ms']:.2f} ms, starved {waits['pct_starved']:.1f} %, "
        f"{waits['queue_state_distribution']}"
    )
    print(
        f"packing: {waits['packing_efficiency']:.1%}, mean {waits['avg_packing_efficiency']:.1%}, "
        f"worst {waits['min_packing_efficiency']:.1%}, "
        f"{waits['batches_below_threshold']} of {waits['total_batches']} batches below 80 %"
    )
    print(
        f"GPU: mean {monitor.get_average_utilization():.1f} %, "
        f"peak memory {monitor.get_peak_memory_usage() / 2**30:.2f} GiB"
    )
    rates = monitor.get_throughput_metrics(sequences, seconds)
    print(
        f"{waits['total_sequences']} sequences, {waits['total_tokens']} tokens: "
        f"{rates['sequences_per_second']:.1f} sequences/s"
    )
    folder.mkdir(parents=True, exist_ok=True)
    monitor.export_metrics(folder / "gpu_metrics.json", format="json")
    monitor.export_metrics(folder / "gpu_metrics.csv", format="csv")
    monitor.save_logs()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fasta", nargs="?", type=Path)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--metrics", type=Path, default=Path("metrics"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    memory = GPUMonitor([0], log_interval=10.0) if device == "cuda" else None
    monitor = NvitopMonitor([0], log_interval=0.2, log_file=str(arguments.metrics / "gpu.log"))
    monitor.start_monitoring()
    monitor.set_stage("load")
    fasta = arguments.fasta or default_fasta()
    sequences = [sequence[:LONGEST] for sequence in read_fasta(fasta)]
    dataset = PackedBatches(sequences)
    # A batch is an item here, so the loader must not batch or collate again.
    loader = DataLoader(dataset, batch_size=None, num_workers=1)
    if memory is not None:
        memory.start_monitoring()
        print(memory.get_current_stats())

    monitor.set_stage("embed")
    began = time.perf_counter()
    done = run(monitor, loader, arguments.passes, device)
    report(monitor, done, time.perf_counter() - began, arguments.metrics)
    statistics = monitor.stop_monitoring()
    for device_id in monitor.device_ids:
        gpu = statistics[device_id]
        print(f"GPU {device_id}: {gpu['gpu_util_avg']:.1f} % over {gpu['sample_count']} samples")
        for stage, figures in gpu["by_stage"].items():
            print(f"  stage {stage}: {figures['duration_seconds']:.2f} s")
    if memory is not None:
        memory.stop_monitoring()


if __name__ == "__main__":
    main()
