# SPDX-License-Identifier: Apache-2.0
"""A GPU monitor with DataLoader metrics, in place of a hand-made one: only the import changes.

    from datastall.gpu_monitor import NvitopMonitor

    monitor = NvitopMonitor(device_ids=[0])
    monitor.start_monitoring()
    monitor.set_stage("esm2")
    monitor.record_dataloader_wait(5.2, batch_idx=20, sequences_in_batch=32, tokens_in_batch=1024)
    monitor.stop_monitoring()["dataloader"]["p95_wait_time_ms"]

Recording and arithmetic are C: memory does not grow with the run, statistics cost microseconds.
Watts are watts, bytes are bytes. A figure that was not measured is ``nan`` in statistics (so that
callers may format it) and ``null`` in exported JSON; the ``known`` dictionary beside the figures
says which are. Works without a GPU, without torch and without nvitop. Logs through
``logging.getLogger(__name__)``. What differs from hand-made monitors: ``datastall help
migrating``.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, SupportsFloat

from . import _core, _hooks

__all__ = ["DataLoaderMetrics", "GPUMetrics", "GPUMonitor", "NvitopMonitor", "infer_queue_state"]

logger = logging.getLogger(__name__)

CRITICAL_BELOW_PERCENT = 50
MILD_BELOW_PERCENT = 80


@dataclass
class GPUMetrics:
    """One reading of one GPU: percent, bytes, Celsius, watts. None: not read."""

    timestamp: float
    device_id: int
    gpu_util: float
    mem_used: int
    mem_total: int
    mem_percent: float
    temperature: float | None = None
    power_draw: float | None = None
    stage: str | None = None


@dataclass
class DataLoaderMetrics:
    """One batch of a DataLoader.

    ``queue_state`` is inferred from the waiting time, since PyTorch's DataLoader publishes no queue
    depth: ``full`` below 1 ms, ``starved`` above 50 ms, else ``normal``
    (:func:`infer_queue_state`).
    """

    timestamp: float
    wait_time_ms: float
    batch_idx: int
    sequences_in_batch: int
    tokens_in_batch: int
    avg_sequence_length: float = 0.0
    max_sequence_length: int = 0
    queue_state: str = "unknown"
    packing_efficiency: float | None = None


def infer_queue_state(wait_time_ms: SupportsFloat) -> str:
    """The queue state that a wait hints at.

    Below 1 ms ``full``, above 50 ms ``starved``, else ``normal`` (exactly 1.0 and 50.0 included);
    negative or not finite: ``unknown``.
    """
    return _core.infer_queue_state(wait_time_ms)


_running: weakref.WeakSet[NvitopMonitor] = weakref.WeakSet()


@atexit.register
def _stop_at_exit() -> None:
    """A program that ends without stop_monitoring() still gets a complete log file."""
    for monitor in list(_running):
        monitor._stop()


class NvitopMonitor(_core.GpuMonitor):
    """Samples GPUs in the background and records what a program waits for.

    Args:
        device_ids: CUDA ordinals of this process: ``CUDA_VISIBLE_DEVICES`` is honoured, with
            indices in NVML's order (by PCI bus), which is CUDA's own with
            ``CUDA_DEVICE_ORDER=PCI_BUS_ID`` and where all GPUs are of one kind. MIG entries are not
            resolved yet. A device that there is not has no samples.
        log_interval: seconds between two samples; 0.05 to 86,400.
        log_file: where samples are logged; default ``logs/gpu_metrics_%Y%m%d_%H%M%S.log``.

    Raises:
        ValueError: a device id is negative or given twice, or the interval is out of range.
        RuntimeError: from every method, in a subclass that did not call ``super().__init__()``.
    """

    device_ids: list[int]
    log_interval: float
    log_file: str

    def __init__(
        self,
        device_ids: Sequence[int],
        log_interval: float = 1.0,
        log_file: str | os.PathLike[str] | None = None,
    ) -> None:
        if log_file is None:
            log_file = datetime.now().strftime("logs/gpu_metrics_%Y%m%d_%H%M%S.log")
        path = os.fspath(log_file)
        super().__init__(device_ids, float(log_interval), path)
        self.device_ids = [int(device_id) for device_id in device_ids]
        self.log_interval = float(log_interval)
        self.log_file = path
        folder = os.path.dirname(path)
        if folder:
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as error:
                logger.warning("cannot create the folder of the log file: %s", error)
        self._set_loggers(_log_batch, _log_low_efficiency)
        if "DATASTALL_RUN_DIR" in os.environ:
            self._set_mirror_factory(_loader_of_the_run)

    def start_monitoring(self) -> None:
        """Starts sampling; does nothing when it runs. Warns when the log cannot be written."""
        try:
            self._start()
        except OSError as error:
            logger.warning("%s; monitoring goes on without it", error)
        _running.add(self)

    def stop_monitoring(self) -> dict[Any, Any]:
        """Stops sampling, completes the log file and returns :meth:`get_statistics`.

        A second stop, or one without a start, returns ``{}``.
        """
        _running.discard(self)
        return self.get_statistics() if self._stop() else {}

    def set_stage(self, name: str) -> None:
        """Names the phase that samples and batches belong to from now on."""
        self._check_open()
        logger.info("GPU monitoring: entering stage '%s'", name)
        self._set_stage(name)
        if "DATASTALL_RUN_DIR" in os.environ:
            _hooks.set_stage(name)

    def check_bottleneck(self, recent_samples: int = 10) -> tuple[bool, str, float]:
        """(is there a bottleneck, ``critical`` | ``mild`` | ``none``, mean utilisation in percent).

        Looks at each device's last ``recent_samples`` readings (at most 4,096); the device with the
        lowest mean decides: below 50 critical, below 80 mild. Devices with fewer readings are left
        out; when none is left, or utilisation cannot be read: ``(False, "none", 0.0)``.

        Raises:
            ValueError: ``recent_samples`` is below 1.
        """
        found, level, average = self._check_bottleneck(recent_samples)
        if level == "critical":
            logger.warning(
                "CRITICAL I/O bottleneck: GPU utilization %.1f%% (threshold: %d%%). "
                "DataLoader is starving the GPU.",
                average,
                CRITICAL_BELOW_PERCENT,
            )
        elif level == "mild":
            logger.info(
                "Mild I/O bottleneck: GPU utilization %.1f%% (threshold: %d%%). "
                "Consider increasing batch size or prefetch_factor.",
                average,
                MILD_BELOW_PERCENT,
            )
        return found, level, average

    def get_dataloader_statistics(self) -> dict[str, Any]:
        """Figures over all recorded batches; ``{}`` before the first.

        avg_, max_, min_, p50_, p95_, p99_wait_time_ms; queue_state_distribution {full, normal,
        starved} and unknown_waits (counts); pct_starved; avg_sequence_length and avg_max_length
        over the batches that give one; packing_efficiency = sum of tokens / sum of (sequences *
        longest) over the batches that give both; avg_, min_packing_efficiency and
        batches_below_threshold (0.80) over the values that callers gave (without any: that sum,
        ``nan`` and 0); total_batches,
        total_sequences, total_tokens (0, and not known, when no batch ever said its number); known.
        """
        return self._dataloader_statistics()

    def get_throughput(self) -> dict[str, Any]:
        """sequences_per_sec, tokens_per_sec, elapsed_seconds since :meth:`start_inference_timer`.

        Once the timer runs also total_sequences and total_tokens: all recorded batches, also those
        before the timer, which the rates leave out. Without a timer the rates are ``nan``, as is
        tokens_per_sec when no batch ever said its tokens; known.
        """
        result = self._throughput()
        if math.isnan(result["elapsed_seconds"]):
            result["elapsed_seconds"] = 0.0
        return result

    def get_statistics(self) -> dict[Any, Any]:
        """Figures by device id, and under ``dataloader`` once there is a batch.

        gpu_util_avg/min/max (percent), mem_used_avg, mem_used_peak (bytes), mem_percent_avg,
        power_draw_avg (watts), temperature_max (Celsius), sample_count, known; with stages by_stage
        {name: gpu_util_avg, mem_used_peak, duration_seconds, known}. A device without samples has
        ``nan`` and sample_count 0.
        """
        self._check_open()
        result: dict[Any, Any] = {}
        for device_id in self.device_ids:
            result[device_id] = self._device_statistics(device_id)
        waits = self._dataloader_statistics()
        if waits:
            result["dataloader"] = waits
        return result

    def get_average_utilization(self, device_id: int | None = None) -> float:
        """Mean utilisation in percent, of one device or over all samples; ``nan`` without any."""
        return self._average_utilization(self._checked(device_id))

    def get_peak_memory_usage(self, device_id: int | None = None) -> float:
        """Largest memory use in bytes, of one device or of all; ``nan`` when it was not read."""
        return self._peak_memory(self._checked(device_id))

    def get_throughput_metrics(self, num_sequences: int, total_time: float) -> dict[str, float]:
        """sequences_per_second, seconds_per_sequence and gpu_util_avg of a job of total_time s."""
        return {
            "sequences_per_second": num_sequences / total_time if total_time > 0 else math.nan,
            "seconds_per_sequence": total_time / num_sequences if num_sequences > 0 else math.nan,
            "gpu_util_avg": self.get_average_utilization(),
        }

    def get_latest(self, device_id: int) -> GPUMetrics | None:
        """The newest sample of a device; None while there is none."""
        values = self._current(self._checked(device_id))
        return None if values is None else GPUMetrics(*(*values[:-1], values[-1] or None))

    def export_metrics(self, path: str | os.PathLike[str], format: str = "json") -> None:
        """Writes the samples that are kept, the last 4,096 of each device, oldest first.

        ``json``: the statistics beside them. ``csv``: timestamp,device_id,gpu_util,mem_used,
        mem_percent,stage; unknown cells are empty. Replaces a regular file, also behind a link,
        once the new one is whole; writes to a pipe or a device.

        Raises:
            ValueError: another format.
            OSError: the file cannot be written.
        """
        if format not in ("json", "csv"):
            raise ValueError(f"format is {format!r}; 'json' or 'csv'")
        self._export(os.fspath(path), format == "csv")

    def save_logs(self) -> None:
        """Brings the log file up to date on disk."""
        self._save_logs()

    def _checked(self, device_id: int | None) -> int:
        self._check_open()
        if device_id is None:
            return -1
        if device_id not in self.device_ids:
            raise ValueError(f"device {device_id} is not monitored; these are: {self.device_ids}")
        return int(device_id)


def _log_batch(batch_idx: int, wait_ms: float, sequences: int, tokens: int, state: str) -> None:
    logger.info(
        "Batch %d: wait=%.1fms, seqs=%d, tokens=%d, queue_state=%s",
        batch_idx,
        wait_ms,
        sequences,
        tokens,
        state,
    )


def _log_low_efficiency(batch_idx: int, efficiency: float) -> None:
    logger.warning("Low packing efficiency: %.1f%% < 80%% at batch %d", efficiency * 100, batch_idx)


def _loader_of_the_run() -> _core.Loader | None:
    """Under `datastall run` the waits are also in the run, as a loader of source ``manual``."""
    recording = _hooks.monitor()
    return None if recording is None else recording.loader(name="gpu_monitor", source=1)


DRIVER_TIMEOUT_S = 5.0

Memory = tuple[int | None, int | None, int | None]


class _Driver:
    """The driver as the process knows it. One that did not answer in time is not asked again: each
    question would wait for the same lock, and leave a thread behind."""

    silent = False

    def ask(self) -> list[Memory] | None:
        """(used, total, free) of the visible devices; None when the driver is silent."""
        if self.silent:
            return None
        answer: list[list[Memory]] = []
        thread = threading.Thread(
            target=lambda: answer.append(_core.visible_gpus()),
            name="datastall driver",
            daemon=True,
        )
        thread.start()
        thread.join(DRIVER_TIMEOUT_S)
        if answer:
            return answer[0]
        if thread.is_alive():
            self.silent = True
            logger.warning("the GPU driver did not answer within %g s", DRIVER_TIMEOUT_S)
        return None


_driver = _Driver()


class GPUMonitor:
    """Watches the memory of GPUs and logs it every ``log_interval`` seconds at INFO.

    ``device_ids`` are as in :class:`NvitopMonitor`. Without a CUDA device it warns once and does
    nothing more.

    Raises:
        ValueError: a device does not exist, or the interval is not 0.05 to 86,400 seconds.
    """

    def __init__(self, device_ids: Sequence[int], log_interval: float = 10.0) -> None:
        self.device_ids = [int(device_id) for device_id in device_ids]
        self.log_interval = float(log_interval)
        if not 0.05 <= self.log_interval <= 86400:
            raise ValueError(f"the interval is {self.log_interval:g} s; 0.05 to 86400")
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        devices = _driver.ask()
        self.available = bool(devices)
        if not devices:
            logger.warning("no CUDA device is available; GPU memory is not monitored")
            return
        for device_id in self.device_ids:
            if not 0 <= device_id < len(devices):
                raise ValueError(f"device {device_id} does not exist; there are {len(devices)}")

    def start_monitoring(self) -> None:
        """Starts logging from a background thread; does nothing when it runs."""
        if not self.available or self._thread is not None:
            return
        self._wake.clear()
        self._thread = threading.Thread(target=self._run, name="datastall GPUMonitor", daemon=True)
        self._thread.start()

    def stop_monitoring(self) -> None:
        """Stops it; does nothing when it does not run."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._wake.set()
            thread.join(timeout=1.0)

    def get_current_stats(self) -> dict[int, dict[str, float]]:
        """By device id: free, total, used in bytes and percent used.

        ``free`` is what the driver says: ``total - used`` less what it reserves for itself.
        Devices that cannot be read are left out; ``{}`` without CUDA, and at once from the time on
        that the driver did not answer within 5 s.
        """
        devices = (_driver.ask() if self.available else None) or []
        result: dict[int, dict[str, float]] = {}
        for device_id in self.device_ids:
            if device_id >= len(devices):
                continue
            used, total, free = devices[device_id]
            if used is None or total is None or free is None:
                continue
            percent = 100.0 * used / total if total else math.nan
            result[device_id] = {"free": free, "total": total, "used": used, "percent": percent}
        return result

    def _run(self) -> None:
        while not self._wake.wait(self.log_interval):
            for device_id, memory in self.get_current_stats().items():
                logger.info(
                    "GPU %d: memory %.1f/%.1f GB (%.1f%%)",
                    device_id,
                    memory["used"] / 1024**3,
                    memory["total"] / 1024**3,
                    memory["percent"],
                )
