# SPDX-License-Identifier: Apache-2.0
"""datastall.gpu_monitor, name by name: arguments, returned keys, log lines, and the places where
hand-made monitors go wrong. Each program runs by itself, so that it can have its own driver."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import PYTHON, Ended, command, only, quantile, recorded, shown, write

Fake = Callable[..., dict[str, str]]
Run = Callable[..., Any]

TWO_GPUS = (
    "devices 2",
    "name 0 Fake H100",
    "name 1 Fake H100",
    "uuid 0 GPU-aaaa0000-1",
    "uuid 1 GPU-bbbb1111-1",
    "memory_used 0 1073741824 4294967296 2147483648",
    "memory_used 1 1073741824",
    "memory_total 0 85899345920",
    "memory_total 1 85899345920",
    "power_mw 0 250000",
    "temperature 0 61",
)

PREFACE = """
import json, logging, math, sys, threading, time
from datastall.gpu_monitor import *

class Kept(logging.Handler):
    def emit(self, record):
        lines.append([record.levelname, record.getMessage()])

lines = []
log = logging.getLogger("datastall.gpu_monitor")
log.addHandler(Kept())
log.setLevel(logging.INFO)
log.propagate = False

def tell(value):
    print(json.dumps(value, default=str))

def until(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)

def samples(monitor, device_id=0):
    return monitor.get_statistics()[device_id]["sample_count"]
"""


def program(folder: Path, body: str, extra: dict[str, str] | None = None, code: int = 0) -> Ended:
    import textwrap

    path = folder / "prog.py"
    path.write_text(PREFACE + textwrap.dedent(body))
    ended = command([PYTHON, str(path)], folder, extra)
    assert ended.code == code, ended.err
    return ended


@pytest.fixture
def told(tmp_path: Path, no_driver: dict[str, str]) -> Run:
    """Runs a body on a machine without a driver; returns what it told."""

    def run(body: str, extra: dict[str, str] | None = None) -> Any:
        return program(tmp_path, body, extra or no_driver).printed()

    return run


# ---- without a GPU ----


def test_exports_and_signatures(told: Run) -> None:
    found = told(
        """
        import dataclasses, inspect, datastall.gpu_monitor as module
        tell({
            "all": sorted(module.__all__),
            "dataloader": [[f.name, str(f.default)] for f in dataclasses.fields(DataLoaderMetrics)],
            "gpu": [f.name for f in dataclasses.fields(GPUMetrics)],
            "doc": "publishes no queue" in DataLoaderMetrics.__doc__,
            "monitor": str(inspect.signature(NvitopMonitor.__init__)),
            "memory": str(inspect.signature(GPUMonitor.__init__)),
        })
        """
    )
    assert found["all"] == [
        *("DataLoaderMetrics", "GPUMetrics", "GPUMonitor", "NvitopMonitor", "infer_queue_state")
    ]
    assert [name for name, _ in found["dataloader"]] == [
        *("timestamp", "wait_time_ms", "batch_idx", "sequences_in_batch", "tokens_in_batch"),
        *("avg_sequence_length", "max_sequence_length", "queue_state", "packing_efficiency"),
    ]
    defaults = dict(found["dataloader"])
    assert defaults["queue_state"] == "unknown"
    assert defaults["avg_sequence_length"] == "0.0"
    assert defaults["max_sequence_length"] == "0"
    assert defaults["packing_efficiency"] == "None"
    assert found["gpu"] == [
        *("timestamp", "device_id", "gpu_util", "mem_used", "mem_total", "mem_percent"),
        *("temperature", "power_draw", "stage"),
    ]
    assert found["doc"]
    assert "log_interval: 'float' = 1.0" in found["monitor"]
    assert "log_interval: 'float' = 10.0" in found["memory"]


def test_every_public_callable_has_a_signature(told: Run) -> None:
    """Also those in C: editors, and code that wraps them, ask for it."""
    found = told(
        """
        import inspect
        import datastall, datastall.gpu_monitor
        found = {}
        for module in (datastall, datastall.gpu_monitor):
            for name in module.__all__:
                member = getattr(module, name)
                if not callable(member):
                    continue
                if inspect.isclass(member) and issubclass(member, dict):
                    continue  # the type of a dictionary, which nobody calls
                found[name] = str(inspect.signature(member))
                for method in dir(member) if inspect.isclass(member) else ():
                    if not method.startswith("_") and callable(getattr(member, method)):
                        found[f"{name}.{method}"] = str(inspect.signature(getattr(member, method)))
        bound = inspect.signature(NvitopMonitor([0]).record_dataloader_wait)
        found["bound"] = str(bound)
        found["defaults"] = str(bound.bind(1.0, 2, 3).arguments)
        found["doc"] = NvitopMonitor.record_dataloader_wait.__doc__
        tell(found)
        """
    )
    parameters = (
        "wait_time_ms, batch_idx, sequences_in_batch, tokens_in_batch=0, avg_sequence_length=0.0, "
        "max_sequence_length=0, packing_efficiency=None"
    )
    assert found["bound"] == f"({parameters})"
    assert found["NvitopMonitor.record_dataloader_wait"] == f"(self, /, {parameters})"
    assert found["NvitopMonitor.start_inference_timer"] == "(self, /)"
    assert {"watch", "stage", "install", "summary", "GPUMonitor.start_monitoring"} <= set(found)
    assert found["doc"].startswith("Record that one batch was waited for.")


@pytest.mark.parametrize("interval", ["0", "0.0", "-1", "0.049", "86401", "math.nan", "math.inf"])
def test_intervals_that_are_refused(told: Run, interval: str) -> None:
    said = told(
        f"""
        said = []
        for make in (NvitopMonitor, GPUMonitor):
            try:
                make([0], log_interval={interval})
                said.append("taken")
            except ValueError as error:
                said.append(str(error))
        tell(said)
        """
    )
    assert all("0.05 to 86400" in each for each in said), said


def test_queue_state_limits(told: Run) -> None:
    waits = "0, 0.999, 0.9999999, 1.0, 50.0, 50.0000001, 51, -1, math.nan, math.inf, -0.0"
    assert told(f"tell([infer_queue_state(w) for w in ({waits})])") == [
        *("full", "full", "full", "normal", "normal", "starved", "starved"),
        *("unknown", "unknown", "unknown", "full"),
    ]
    # The recorder agrees with the function at the same limits.
    distribution = told(
        """
        m = NvitopMonitor([0])
        for i, wait in enumerate((0.9999999, 1.0, 50.0, 50.0000001)):
            m.record_dataloader_wait(wait, i, 1)
        tell(m.get_dataloader_statistics()["queue_state_distribution"])
        """
    )
    assert distribution == {"full": 1, "normal": 2, "starved": 1}


def test_nothing_and_one(told: Run) -> None:
    empty, one = told(
        """
        m = NvitopMonitor([0])
        empty = [m.get_dataloader_statistics(), m.stop_monitoring(), m.stop_monitoring(),
                 m.check_bottleneck(), "dataloader" in m.get_statistics()]
        m.record_dataloader_wait(5.0, 0, 8)
        tell([empty, m.get_dataloader_statistics()])
        """
    )
    assert empty == [{}, {}, {}, [False, "none", 0.0], False]
    assert one["total_batches"] == 1
    assert one["avg_wait_time_ms"] == one["max_wait_time_ms"] == one["min_wait_time_ms"] == 5.0
    assert one["p95_wait_time_ms"] == 5.0
    assert one["total_sequences"] == 8
    assert one["total_tokens"] == 0
    assert math.isnan(one["packing_efficiency"])  # no batch states tokens and a longest sequence
    assert math.isnan(one["avg_packing_efficiency"])
    assert math.isnan(one["min_packing_efficiency"])  # and not 0 %, which nobody stated
    assert one["known"]["min_packing_efficiency"] is False
    assert one["batches_below_threshold"] == 0
    assert math.isnan(one["avg_sequence_length"])
    assert one["known"]["packing_efficiency"] is False
    assert one["known"]["avg_wait_time_ms"] is True


def test_known_sequence(told: Run) -> None:
    chance = random.Random(7)
    waits = [chance.lognormvariate(1.5, 1.0) for _ in range(2000)]
    statistics = told(
        f"""
        m = NvitopMonitor([0])
        for i, wait in enumerate({waits!r}):
            m.record_dataloader_wait(wait, i, 4, 40, 10.0, 16, 0.625)
        tell(m.get_dataloader_statistics())
        """
    )
    for name, p in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        exact = quantile(waits, p)  # type: ignore[arg-type]
        assert statistics[f"{name}_wait_time_ms"] == pytest.approx(exact, rel=0.01)
    assert statistics["avg_wait_time_ms"] == pytest.approx(sum(waits) / 2000, rel=1e-6)
    assert statistics["max_wait_time_ms"] == pytest.approx(max(waits), rel=1e-6)
    assert statistics["min_wait_time_ms"] == pytest.approx(min(waits), abs=1e-6)
    assert statistics["pct_starved"] == pytest.approx(sum(w > 50 for w in waits) / 20)
    assert statistics["packing_efficiency"] == pytest.approx(40 / 64)
    assert (statistics["avg_sequence_length"], statistics["avg_max_length"]) == (10.0, 16.0)


def test_packing_sums_are_over_the_same_batches(told: Run) -> None:
    statistics = told(
        """
        m = NvitopMonitor([0])
        m.record_dataloader_wait(1, 0, 10, 900, 90.0, 100, 0.9)   # states both: 900 of 1000
        m.record_dataloader_wait(1, 1, 10, 5000)                  # no longest sequence: in neither
        m.record_dataloader_wait(1, 2, 10, 0, 0.0, 100)           # no tokens: in neither
        m.record_dataloader_wait(1, 3, 10, 300, 30.0, 50, 0.6)    # 300 of 500
        tell(m.get_dataloader_statistics())
        """
    )
    assert statistics["packing_efficiency"] == pytest.approx(1200 / 1500)
    assert statistics["total_tokens"] == 6200
    assert statistics["avg_packing_efficiency"] == pytest.approx(0.75)
    assert statistics["min_packing_efficiency"] == pytest.approx(0.6)
    assert statistics["batches_below_threshold"] == 1
    assert statistics["avg_max_length"] == pytest.approx((100 + 100 + 50) / 3)
    assert statistics["avg_sequence_length"] == pytest.approx(60.0)


def test_bad_values_lose_no_other_batch(told: Run) -> None:
    refused, statistics = told(
        """
        m = NvitopMonitor([0])
        m.record_dataloader_wait(2.0, 0, 1)
        refused = []
        for arguments in (
            dict(batch_idx=-1, sequences_in_batch=1),
            dict(batch_idx=1, sequences_in_batch=-5),
            dict(batch_idx=1, sequences_in_batch=1, tokens_in_batch=-1),
            dict(batch_idx=1, sequences_in_batch=1, max_sequence_length=-1),
            dict(batch_idx=1, sequences_in_batch=1, avg_sequence_length=-1.0),
            dict(batch_idx=1, sequences_in_batch=1, packing_efficiency=math.inf),
            dict(batch_idx=1.5, sequences_in_batch=1),
            dict(batch_idx=1, sequences_in_batch="many"),
            dict(batch_idx=1),
            dict(batch_idx=1, sequences_in_batch=1, queue_depth=3),
        ):
            try:
                m.record_dataloader_wait(1.0, **arguments)
                refused.append("accepted")
            except (ValueError, TypeError) as error:
                refused.append(f"{type(error).__name__}: {error}")
        for wait in (-1.0, math.nan, math.inf):
            m.record_dataloader_wait(wait, 3, 10)
        m.record_dataloader_wait(4.0, 4, 1)
        tell([refused, m.get_dataloader_statistics()])
        """
    )
    assert [line.split(":")[0] for line in refused] == ["ValueError"] * 6 + ["TypeError"] * 4
    assert refused[1] == "ValueError: sequences_in_batch is -5; a count cannot be negative"
    assert "queue_depth" in refused[9]
    # Waits that are none: the batches count, with an unknown wait, and spoil no mean.
    assert statistics["total_batches"] == 5
    assert statistics["total_sequences"] == 32
    assert statistics["unknown_waits"] == 3
    assert statistics["avg_wait_time_ms"] == pytest.approx(3.0)
    assert statistics["queue_state_distribution"] == {"full": 0, "normal": 2, "starved": 0}


def test_numpy_and_torch_scalars(told: Run) -> None:
    statistics = told(
        """
        import numpy, torch
        m = NvitopMonitor([numpy.int64(0)])
        m.record_dataloader_wait(numpy.float32(2.5), numpy.int64(0), torch.tensor(8),
                                 torch.tensor([640]).sum(), numpy.float64(80.0), torch.tensor(100),
                                 torch.tensor(0.8))
        m.record_dataloader_wait(torch.tensor(2.5), 1, numpy.int32(8), True, 1, numpy.uint8(3))
        tell(m.get_dataloader_statistics())
        """
    )
    assert statistics["total_sequences"] == 16
    assert statistics["total_tokens"] == 641
    assert statistics["avg_wait_time_ms"] == pytest.approx(2.5)


def test_log_lines(told: Run) -> None:
    lines = told(
        """
        m = NvitopMonitor([0])
        m.set_stage("esm2")
        for i in range(201):
            m.record_dataloader_wait(5.23, i, 32, 1024, packing_efficiency=0.712 if i else 0.9)
        tell(lines)
        """
    )
    assert lines[0] == ["INFO", "GPU monitoring: entering stage 'esm2'"]
    batches = [text for level, text in lines if text.startswith("Batch ")]
    assert batches[2] == "Batch 20: wait=5.2ms, seqs=32, tokens=1024, queue_state=normal"
    assert len(batches) == 21
    low = [[level, text] for level, text in lines if text.startswith("Low ")]
    assert low == [
        ["WARNING", "Low packing efficiency: 71.2% < 80% at batch 100"],
        ["WARNING", "Low packing efficiency: 71.2% < 80% at batch 200"],
    ]


def test_throughput(told: Run) -> None:
    before, after, inner_s, outer_s = told(
        """
        m = NvitopMonitor([0])
        m.record_dataloader_wait(1, 0, 100, 1000)
        before = m.get_throughput()
        outer = time.monotonic()
        m.start_inference_timer()
        inner = time.monotonic()
        time.sleep(0.2)
        m.record_dataloader_wait(1, 1, 10, 500)
        inner = time.monotonic() - inner
        after = m.get_throughput()
        tell([before, after, inner, time.monotonic() - outer])
        """
    )
    assert before["elapsed_seconds"] == 0.0
    assert math.isnan(before["sequences_per_sec"]) and "total_sequences" not in before
    assert inner_s <= after["elapsed_seconds"] <= outer_s
    assert after["total_sequences"] == 110 and after["total_tokens"] == 1500
    # The rate is of what was recorded since the timer started.
    expected = 10 / after["elapsed_seconds"]
    assert after["sequences_per_sec"] == pytest.approx(expected, rel=0.01)
    assert after["tokens_per_sec"] == pytest.approx(50 * expected, rel=0.01)


def test_totals_that_nobody_gave(told: Run) -> None:
    throughput, statistics, exported, timed = told(
        """
        m = NvitopMonitor([0])
        m.start_inference_timer()
        time.sleep(0.01)
        m.record_dataloader_wait(1, 0, 100)
        throughput, statistics = m.get_throughput(), m.get_dataloader_statistics()
        m.export_metrics("x.json")
        m.record_dataloader_wait(1, 0, 100, 7)
        tell([throughput, statistics, json.load(open("x.json")), m.get_throughput()])
        """
    )
    assert throughput["total_tokens"] == 0 and statistics["total_tokens"] == 0
    assert throughput["known"]["total_tokens"] is False
    assert throughput["known"]["tokens_per_sec"] is False
    assert math.isnan(throughput["tokens_per_sec"])
    assert throughput["total_sequences"] == 100 and throughput["known"]["total_sequences"]
    assert throughput["sequences_per_sec"] > 0
    assert statistics["known"]["total_tokens"] is False
    assert statistics["known"]["total_sequences"] is True
    assert exported["statistics"]["dataloader"]["known"]["total_tokens"] is False
    assert timed["total_tokens"] == 7 and timed["known"]["total_tokens"]
    assert timed["tokens_per_sec"] > 0


def test_floats_that_are_counts(told: Run) -> None:
    statistics, refused = told(
        """
        import numpy, torch
        m = NvitopMonitor([0])
        lengths = torch.tensor([10.0, 20.0])
        m.record_dataloader_wait(1, 3.0, float(2), float(lengths.sum().item()), 15.0, 20.0)
        m.record_dataloader_wait(1, numpy.float32(4), torch.tensor(2.0), lengths.sum())
        refused = []
        for count in (1.5, math.nan, math.inf, -1.0, 1e30, "3", None, torch.tensor(1.5)):
            try:
                m.record_dataloader_wait(1, 0, count)
                refused.append("accepted")
            except (ValueError, TypeError, OverflowError) as error:
                refused.append(str(error))
        tell([m.get_dataloader_statistics(), refused])
        """
    )
    assert statistics["total_batches"] == 2
    assert statistics["total_sequences"] == 4 and statistics["total_tokens"] == 60
    assert statistics["avg_max_length"] == 20.0
    assert len(refused) == 8 and "accepted" not in refused
    assert refused[0] == "sequences_in_batch is 1.5; a count is a whole number"


def test_subclasses(told: Run) -> None:
    batches, files, forgot, again, errors = told(
        """
        class Configured(NvitopMonitor):
            def __init__(self, config, *, extra=None):
                super().__init__(config["ids"], log_file=config["log"])
                self.extra = extra

        class Forgetful(NvitopMonitor):
            def __init__(self, whatever):
                pass

        m = Configured({"ids": [0], "log": "mine.log"}, extra=1)
        m.start_monitoring()
        m.record_dataloader_wait(1, 0, 1)
        batches = m.stop_monitoring()["dataloader"]["total_batches"]

        forgot = []
        f = Forgetful(3)
        for call in (
            f.start_monitoring, f.stop_monitoring, lambda: f.set_stage("x"), f.check_bottleneck,
            lambda: f.record_dataloader_wait(1, 0, 1), f.get_dataloader_statistics,
            f.start_inference_timer, f.get_throughput, f.get_statistics,
            f.get_average_utilization, f.get_peak_memory_usage,
            lambda: f.get_throughput_metrics(1, 1.0), lambda: f.get_latest(0),
            lambda: f.export_metrics("x.json"), f.save_logs,
        ):
            try:
                call()
                forgot.append("returned")
            except RuntimeError as error:
                forgot.append(str(error))

        errors = []
        for arguments in ((), ([-1],), ([0], 0.001)):
            try:
                NvitopMonitor.__init__(f, *arguments)
            except Exception as error:
                errors.append(type(error).__name__)
        try:
            f.save_logs()
        except RuntimeError:
            errors.append("still not initialised")

        def threads():
            return len([n for n in __import__("os").listdir("/proc/self/task")])
        m = NvitopMonitor([0], log_file="a.log")
        before = threads()
        for i in range(50):
            m.__init__([0, 1], log_file=f"again.log")
            m.start_monitoring()
            m.record_dataloader_wait(1, 0, 1)
        until(lambda: threads() <= before + 1)
        again = [m.device_ids, m.stop_monitoring()["dataloader"]["total_batches"]]
        try:
            m.__init__([-1])
        except ValueError:
            again.append(m.get_dataloader_statistics()["total_batches"])
        tell([batches, __import__("os").path.exists("mine.log"), forgot, again, errors])
        """
    )
    assert batches == 1 and files is True
    assert len(forgot) == 15
    assert set(forgot) == {"the monitor is not initialised: call super().__init__()"}
    assert errors == ["TypeError", "ValueError", "ValueError", "still not initialised"]
    assert again == [[0, 1], 1, 1]  # a failing __init__ leaves the monitor as it was


def test_init_while_another_thread_uses_it(told: Run) -> None:
    ended = told(
        """
        m = NvitopMonitor([0], log_file="a.log")
        stop = time.monotonic() + 2
        def use():
            while time.monotonic() < stop:
                m.save_logs(); m.export_metrics("x.json"); m.get_statistics(); m.stop_monitoring()
                m.record_dataloader_wait(1, 0, 1)
        def again():
            while time.monotonic() < stop:
                try:
                    m.__init__([0, 1], log_file="a.log")
                    m.start_monitoring()
                except RuntimeError:
                    pass
        threads = [threading.Thread(target=f) for f in (use, again, use, again)]
        for t in threads: t.start()
        for t in threads: t.join()
        tell("whole")
        """
    )
    assert ended == "whole"


def test_waits_that_cannot_have_been(told: Run) -> None:
    states, statistics = told(
        """
        m = NvitopMonitor([0])
        waits = (1e300, 1e15, 5.0)
        for i, wait in enumerate(waits):
            m.record_dataloader_wait(wait, i, 1)
        tell([[infer_queue_state(w) for w in waits], m.get_dataloader_statistics()])
        """
    )
    assert states == ["starved", "starved", "normal"]
    assert statistics["total_batches"] == 3 and statistics["unknown_waits"] == 2
    assert statistics["max_wait_time_ms"] == pytest.approx(5.0)


def test_four_threads_exact(told: Run) -> None:
    statistics, reads = told(
        """
        m = NvitopMonitor([0])
        reads = []
        def work(k):
            for i in range(20000):
                m.record_dataloader_wait(float(k), i + 1, 2, 10 * k)
        threads = [threading.Thread(target=work, args=(k,)) for k in (1, 2, 3, 4)]
        for t in threads: t.start()
        while any(t.is_alive() for t in threads):
            s = m.get_dataloader_statistics()
            if s: reads.append(s["total_batches"])
        for t in threads: t.join()
        tell([m.get_dataloader_statistics(), reads == sorted(reads)])
        """
    )
    assert reads
    assert statistics["total_batches"] == 80000
    assert statistics["total_sequences"] == 160000
    assert statistics["total_tokens"] == 20000 * 100
    assert statistics["avg_wait_time_ms"] == pytest.approx(2.5)


def test_fork_and_exit_without_stop(tmp_path: Path, no_driver: dict[str, str]) -> None:
    ended = program(
        tmp_path,
        """
        import os
        m = NvitopMonitor([0], log_file="out/gpu.log")
        m.start_monitoring()
        m.record_dataloader_wait(1, 1, 1)
        child = os.fork()
        if child == 0:
            for i in range(100):
                m.record_dataloader_wait(1, 1, 1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        tell(m.get_dataloader_statistics()["total_batches"])
        """,
        no_driver,
    )
    assert ended.printed() == 1  # the child wrote nothing of its parent's
    log = (tmp_path / "out" / "gpu.log").read_text()
    assert log.startswith("# GPU Monitoring Log\n# Started: ")
    assert "# Ended: " in log  # completed at exit, though nobody stopped it


def test_default_log_file(tmp_path: Path, no_driver: dict[str, str]) -> None:
    program(tmp_path, "NvitopMonitor([0])", no_driver)
    assert (tmp_path / "logs").is_dir()  # made in the constructor
    name = program(tmp_path, "tell(NvitopMonitor([0]).log_file)", no_driver).printed()
    assert re.fullmatch(r"logs/gpu_metrics_\d{8}_\d{6}\.log", name)


def test_unwritable_paths(tmp_path: Path, no_driver: dict[str, str]) -> None:
    (tmp_path / "file").write_text("")
    outcome = program(
        tmp_path,
        """
        m = NvitopMonitor([0], log_file="file/below/gpu.log")
        m.start_monitoring()
        m.record_dataloader_wait(1, 1, 1)
        outcome = [level for level, _ in lines]
        for path, format in (("file/x.json", "json"), ("missing/x.csv", "csv"), ("x.txt", "xml")):
            try:
                m.export_metrics(path, format)
                outcome.append("written")
            except Exception as error:
                outcome.append(f"{type(error).__name__}: {error}")
        outcome.append(m.stop_monitoring()["dataloader"]["total_batches"])
        tell(outcome)
        """,
        no_driver,
    ).printed()
    assert outcome[:2] == ["WARNING", "WARNING"]
    assert outcome[2] == "OSError: cannot write file/x.json: Not a directory"
    assert outcome[3] == "OSError: cannot write missing/x.csv: No such file or directory"
    assert outcome[4].startswith("ValueError: format is 'xml'")
    assert outcome[5] == 1


def test_exports_replace_regular_files_only(tmp_path: Path, no_driver: dict[str, str]) -> None:
    (tmp_path / "victim").write_text("kept")
    found = program(
        tmp_path,
        """
        import os, stat
        m = NvitopMonitor([0], log_file="gpu.log")
        m.record_dataloader_wait(1, 0, 1)
        # The name that hand-made temporary files would have leads elsewhere.
        os.symlink("victim", f"plain.json.{os.getpid()}.tmp")
        os.umask(0o027)
        m.export_metrics("plain.json")
        os.mkdir("real")
        open("real/target.json", "w").write("old")
        os.symlink("real/target.json", "link.json")
        os.symlink("real/new.json", "dangling.json")
        m.export_metrics("link.json")
        m.export_metrics("dangling.json")
        try:
            os.mknod("device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))   # a null device to lose
            m.export_metrics("device")
            assert stat.S_ISCHR(os.lstat("device").st_mode)
        except PermissionError:
            pass   # not root
        os.mkfifo("fifo")
        read = []
        reader = threading.Thread(target=lambda: read.append(open("fifo").read()))
        reader.start()
        m.export_metrics("fifo", "csv")
        reader.join(10)
        try:
            m.export_metrics("real")
            error = None
        except OSError as e:
            error = str(e)
        failures = []
        def export():
            for _ in range(200):
                try:
                    m.export_metrics("both.json")
                except OSError as e:
                    failures.append(str(e))
        threads = [threading.Thread(target=export) for _ in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        json.load(open("both.json"))
        tell([read, error, failures, [os.path.islink(n) for n in ("link.json", "dangling.json")]])
        """,
        no_driver,
    ).printed()
    read, error, failures, links = found
    assert read == ["timestamp,device_id,gpu_util,mem_used,mem_percent,stage\n"]
    assert error == "cannot write real: Is a directory"
    assert failures == []
    assert links == [True, True]
    assert (tmp_path / "victim").read_text() == "kept"
    assert stat.S_IMODE((tmp_path / "plain.json").stat().st_mode) == 0o640
    for name in ("plain.json", "real/target.json", "real/new.json", "both.json"):
        json.loads((tmp_path / name).read_text())
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    left = [path.name for path in tmp_path.rglob("*.tmp") if not path.is_symlink()]
    assert left == []


def test_arguments_of_the_constructor(told: Run) -> None:
    refused = told(
        """
        refused = []
        for arguments in (([-1],), ([0, 0],), ([0], 0.001), ([0], math.nan), (list(range(40)),)):
            try:
                NvitopMonitor(*arguments)
                refused.append("accepted")
            except ValueError as error:
                refused.append(str(error))
        tell(refused)
        """
    )
    assert len(refused) == 5 and "accepted" not in refused
    assert refused[1] == "device id 0 is given twice"


def test_no_driver_is_not_zero_percent_busy(told: Run) -> None:
    bottleneck, statistics, mean, peak, levels, memory = told(
        """
        m = NvitopMonitor([0], log_interval=0.05)
        m.start_monitoring()
        time.sleep(0.3)
        g = GPUMonitor([0])
        g.start_monitoring()
        tell([m.check_bottleneck(1), m.stop_monitoring()[0], m.get_average_utilization(),
              m.get_peak_memory_usage(), lines, g.get_current_stats()])
        """
    )
    assert bottleneck == [False, "none", 0.0]
    assert math.isnan(mean) and math.isnan(peak)
    assert statistics["sample_count"] == 0 and math.isnan(statistics["gpu_util_avg"])
    assert [level for level, text in levels if "CUDA" in text] == ["WARNING"]
    assert memory == {}


@pytest.mark.whole_start
def test_works_without_torch(tmp_path: Path, no_driver: dict[str, str]) -> None:
    loaded = program(
        tmp_path,
        """
        m = NvitopMonitor([0])
        m.record_dataloader_wait(1, 0, 1)
        tell([name for name in ("torch", "numpy", "nvitop") if name in sys.modules])
        """,
        no_driver,
    ).printed()
    assert loaded == []


# ---- with GPUs that say what they are told ----


def test_device_figures(tmp_path: Path, fake_nvml: Fake) -> None:
    script = (*TWO_GPUS, "utilization 0 10 20 90 40", "utilization 1 70")
    stats, mean, one, peak, latest, log, exported, csv = program(
        tmp_path,
        """
        m = NvitopMonitor([0, 1], log_interval=0.05, log_file="gpu.log")
        m.start_monitoring()
        m.start_monitoring()   # twice: nothing changes
        until(lambda: samples(m) >= 4 and samples(m, 1) >= 4)
        stats = m.stop_monitoring()
        m.export_metrics("x.json")
        m.export_metrics("x.csv", format="csv")
        m.save_logs()
        latest = m.get_latest(0)
        m.record_dataloader_wait(1, 0, 1)   # averages go on working afterwards
        tell([stats, m.get_average_utilization(1), m.get_average_utilization(),
              m.get_peak_memory_usage(0), latest.__dict__, open("gpu.log").read(),
              json.load(open("x.json")), open("x.csv").read()])
        """,
        fake_nvml(*script),
    ).printed()
    gpu = stats["0"]
    count = gpu["sample_count"]
    assert count >= 4
    assert (gpu["gpu_util_min"], gpu["gpu_util_max"]) == (10.0, 90.0)
    assert gpu["gpu_util_avg"] == pytest.approx((10 + 20 + 90 + 40 * (count - 3)) / count)
    assert gpu["mem_used_peak"] == 4294967296
    assert gpu["mem_percent_avg"] == pytest.approx(100 * gpu["mem_used_avg"] / 85899345920)
    assert gpu["power_draw_avg"] == pytest.approx(250.0)  # watts
    assert stats["1"]["gpu_util_avg"] == 70.0
    assert math.isnan(stats["1"]["power_draw_avg"])
    assert mean == 70.0 and 10 < one < 90
    assert peak == 4294967296
    assert latest["power_draw"] == pytest.approx(250.0) and latest["temperature"] == 61.0
    assert latest["mem_total"] == 85899345920 and latest["stage"] is None
    lines = log.splitlines()
    assert lines[0] == "# GPU Monitoring Log"
    assert lines[1].startswith("# Started: ") and lines[2] == "# Devices: [0, 1]"
    assert lines[4] == "#"
    assert lines[5] == (
        "# timestamp,device_id,gpu_util,mem_used_mb,mem_percent,temperature,power_draw,stage"
    )
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    assert len(rows) == count + stats["1"]["sample_count"]
    first = next(row for row in rows if row[1] == "0")  # of the two devices either may come first
    assert first[1:7] == ["0", "10", "1024.0", "1.25", "61", "250.0"]
    assert lines[-1].startswith("# GPU 1: ")
    assert len(exported["samples"]) == len(rows)
    assert exported["samples"][0]["gpu_util"] == 10
    assert exported["samples"][-1]["power_draw"] is None  # unknown is null
    assert exported["statistics"]["0"]["mem_used_peak"] == 4294967296
    table = csv.splitlines()
    assert table[0] == "timestamp,device_id,gpu_util,mem_used,mem_percent,stage"
    assert table[1].split(",")[1:] == ["0", "10", "1073741824", "1.2500", ""]


def test_ordinals_by_the_cuda_driver(tmp_path: Path, fake_nvml: Fake) -> None:
    """Where the program has CUDA up, its driver says which device an ordinal is."""
    zero, one = ("-".join(byte * n for n in (4, 2, 2, 2, 6)) for byte in ("a0", "a1"))
    source = """
    import ctypes, json, sys, time
    from datastall.gpu_monitor import NvitopMonitor
    if sys.argv[1] == "cuda":
        ctypes.CDLL("libcuda.so.1")
    monitor = NvitopMonitor([0], log_interval=0.1)
    monitor.start_monitoring()
    end = time.monotonic() + 120
    while not monitor.get_statistics()[0]["sample_count"] and time.monotonic() < end:
        time.sleep(0.05)
    print(monitor.stop_monitoring()[0]["gpu_util_avg"])
    """
    write(tmp_path, "prog.py", source)
    script = ("devices 2", f"uuid 0 GPU-{one}", f"uuid 1 GPU-{zero}")
    script += ("utilization 0 10", "utilization 1 90")
    extra = fake_nvml(*script, library="nvml-cuda")
    for word, busy in (("cuda", 90.0), ("no", 10.0)):
        ended = command([PYTHON, "prog.py", word], tmp_path, extra)
        assert ended.code == 0, ended.err
        assert float(ended.out) == pytest.approx(busy)


def test_comma_locale(tmp_path: Path, fake_nvml: Fake) -> None:
    """A program that speaks German gets the same files."""
    localedef = shutil.which("localedef")
    if localedef is None:
        pytest.skip("no localedef")
    made = tmp_path / "locales"
    made.mkdir()
    command_line = [localedef, "-i", "de_DE", "-f", "UTF-8", str(made / "de_DE.UTF-8")]
    subprocess.run(command_line, capture_output=True, check=False)  # warns of what it cannot use
    if not (made / "de_DE.UTF-8" / "LC_NUMERIC").exists():
        pytest.skip("no source of de_DE")
    log, exported, csv, point = program(
        tmp_path,
        """
        import locale
        locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
        m = NvitopMonitor([0], log_interval=0.05, log_file="gpu.log")
        m.start_monitoring()
        until(lambda: samples(m) >= 2)
        m.record_dataloader_wait(2.5, 0, 1)
        m.stop_monitoring()
        m.export_metrics("x.json")
        m.export_metrics("x.csv", format="csv")
        point = locale.localeconv()["decimal_point"]
        tell([open("gpu.log").read(), open("x.json").read(), open("x.csv").read(), point])
        """,
        {**fake_nvml(*TWO_GPUS, "utilization 0 10"), "LOCPATH": str(made)},
    ).printed()
    assert point == ","  # still the program's own
    lines = log.splitlines()
    assert "NVML every 0.05 s" in lines[3]
    row = next(line for line in lines if not line.startswith("#")).split(",")
    assert row[1:] == ["0", "10", "1024.0", "1.25", "61", "250.0", ""]
    assert "mean wait 2.50 ms" in lines[-1]
    document = json.loads(exported)
    assert document["samples"][0]["power_draw"] == 250.0
    assert document["samples"][0]["mem_percent"] == 1.25
    assert csv.splitlines()[1].split(",")[1:] == ["0", "10", "1073741824", "1.2500", ""]


def test_log_ends_at_its_limit(tmp_path: Path, fake_nvml: Fake) -> None:
    limit = 64 << 20
    log = tmp_path / "gpu.log"
    with log.open("wb") as file:
        file.truncate(limit - 1500)  # sparse
    program(
        tmp_path,
        """
        def tail():
            with open("gpu.log", "rb") as file:
                file.seek(-300, 2)
                return file.read()
        m = NvitopMonitor([0, 1], log_interval=0.05, log_file="gpu.log")
        m.start_monitoring()
        until(lambda: b"The log ends here" in tail())
        count = samples(m)
        until(lambda: samples(m) >= count + 2)
        m.stop_monitoring()
        """,
        fake_nvml(*TWO_GPUS),
    )
    text = log.read_bytes()
    note = text.index(b"# The log ends here")
    assert limit < note < limit + 100
    assert text[note:].splitlines()[1] == b"#"  # nothing but the summary follows


@pytest.mark.parametrize(
    ("utilization", "level", "line"),
    [
        (34, "critical", "CRITICAL I/O bottleneck: GPU utilization 34.0% (threshold: 50%). "),
        (71, "mild", "Mild I/O bottleneck: GPU utilization 71.0% (threshold: 80%). "),
        (50, "mild", "Mild I/O bottleneck: GPU utilization 50.0% (threshold: 80%). "),
        (80, "none", None),
    ],
)
def test_bottleneck_levels(
    tmp_path: Path, fake_nvml: Fake, utilization: int, level: str, line: str | None
) -> None:
    (found, name, mean), lines = program(
        tmp_path,
        """
        m = NvitopMonitor([0], log_interval=0.05)
        m.start_monitoring()
        until(lambda: samples(m) >= 3)
        tell([m.check_bottleneck(recent_samples=3), lines])
        """,
        fake_nvml(*TWO_GPUS, f"utilization 0 {utilization}"),
    ).printed()
    assert (found, name, mean) == (level != "none", level, float(utilization))
    said = [text for _, text in lines if "bottleneck" in text]
    if line is None:
        assert said == []
    else:
        assert only(said).startswith(line)
        assert only(said).endswith(
            "DataLoader is starving the GPU."
            if level == "critical"
            else "Consider increasing batch size or prefetch_factor."
        )
        assert lines[-1][0] == ("WARNING" if level == "critical" else "INFO")


def test_recent_samples_are_never_mixed(tmp_path: Path, fake_nvml: Fake) -> None:
    """Device 1 is starved; device 0 is busy, and has too few samples for some questions."""
    script = (*TWO_GPUS, "utilization 0 95", "utilization 1 90 90 90 20")
    results = program(
        tmp_path,
        """
        m = NvitopMonitor([0, 1], log_interval=0.05)
        m.start_monitoring()
        until(lambda: samples(m, 1) >= 8)
        m.stop_monitoring()
        count = samples(m, 1)
        tell([m.check_bottleneck(4), m.check_bottleneck(count), m.check_bottleneck(count + 2),
              count])
        """,
        fake_nvml(*script),
    ).printed()
    assert results[0] == [True, "critical", 20.0]
    count = results[3]
    assert results[1][2] == pytest.approx((270 + 20 * (count - 3)) / count)
    assert results[2] == [False, "none", 0.0]  # all devices are short of samples
    refused = program(
        tmp_path,
        """
        try:
            NvitopMonitor([0]).check_bottleneck(0)
        except ValueError as error:
            tell(str(error))
        """,
    ).printed()
    assert refused == "recent_samples is 0; at least 1"


def test_utilization_that_cannot_be_read(tmp_path: Path, fake_nvml: Fake) -> None:
    """A driver without utilisation (MIG) is not 0 % busy."""
    bottleneck, gpu = program(
        tmp_path,
        """
        m = NvitopMonitor([0], log_interval=0.05)
        m.start_monitoring()
        until(lambda: samples(m) >= 3)
        tell([m.check_bottleneck(2), m.stop_monitoring()[0]])
        """,
        fake_nvml(*TWO_GPUS),
    ).printed()
    assert bottleneck == [False, "none", 0.0]
    assert math.isnan(gpu["gpu_util_avg"])
    assert gpu["mem_used_peak"] == 4294967296  # other figures go on


def test_stages_while_the_sampler_runs(tmp_path: Path, fake_nvml: Fake) -> None:
    stages, at = program(
        tmp_path,
        """
        m = NvitopMonitor([0], log_interval=0.05)
        m.start_monitoring()
        at = []
        for name in ("load", "embed", "load"):
            at.append(time.monotonic())
            m.set_stage(name)
            at.append(time.monotonic())
            before = samples(m)
            until(lambda: samples(m) >= before + 3)
            m.get_statistics()   # while running
        at.append(time.monotonic())
        stages = m.stop_monitoring()[0]
        at.append(time.monotonic())
        tell([stages, at])
        """,
        fake_nvml(*TWO_GPUS, "utilization 0 60"),
    ).printed()
    by_stage = stages["by_stage"]
    assert list(by_stage) == ["load", "embed"]
    for figures in by_stage.values():
        assert figures["gpu_util_avg"] == 60.0
        assert figures["mem_used_peak"] >= 2147483648
    # Each stage begins and ends inside of one call, between two reads of the program's clock.
    within = [at[k + 2] - at[k + 1] for k in (0, 2, 4)]
    outside = [at[k + 3] - at[k] for k in (0, 2, 4)]
    load_s, embed_s = (by_stage[name]["duration_seconds"] for name in ("load", "embed"))
    assert within[0] + within[2] <= load_s <= outside[0] + outside[2]
    assert within[1] <= embed_s <= outside[1]


def test_stages_past_the_last_name(tmp_path: Path, fake_nvml: Fake) -> None:
    by_stage, exported = program(
        tmp_path,
        """
        m = NvitopMonitor([0], log_interval=0.05)
        m.start_monitoring()
        for i in range(66):
            m.set_stage(f"stage {i}")
        before = samples(m)
        until(lambda: samples(m) >= before + 2)
        m.export_metrics("x.json")
        tell([m.stop_monitoring()[0]["by_stage"], json.load(open("x.json"))])
        """,
        fake_nvml(*TWO_GPUS, "utilization 0 60"),
    ).printed()
    assert len(by_stage) == 65
    assert list(by_stage)[-1] == "other"
    assert by_stage["other"]["gpu_util_avg"] == 60.0
    assert list(exported["statistics"]["0"]["by_stage"]) == list(by_stage)
    assert exported["samples"][-1]["stage"] == "other"


def test_visible_devices_are_those_at_the_start(tmp_path: Path, fake_nvml: Fake) -> None:
    mean = program(
        tmp_path,
        """
        import os
        os.environ["CUDA_VISIBLE_DEVICES"] = "1"
        m = NvitopMonitor([0], log_interval=0.05)
        m.start_monitoring()
        os.environ["CUDA_VISIBLE_DEVICES"] = "0"   # before the thread asked the driver
        until(lambda: samples(m) >= 1)
        tell(m.stop_monitoring()[0]["gpu_util_avg"])
        """,
        fake_nvml(*TWO_GPUS, "utilization 0 11", "utilization 1 22", "delay_us init 200000"),
    ).printed()
    assert mean == 22.0


def test_visible_devices(tmp_path: Path, fake_nvml: Fake) -> None:
    """Device ids are CUDA ordinals of the process, not NVML indices."""
    body = """
    m = NvitopMonitor([0, 1], log_interval=0.05)
    m.start_monitoring()
    until(lambda: samples(m) >= 2)
    stats = m.stop_monitoring()
    tell([[stats[d]["gpu_util_avg"], stats[d]["sample_count"]] for d in (0, 1)])
    """
    script = (*TWO_GPUS, "utilization 0 11", "utilization 1 22")
    for visible, first in (("1", 22.0), ("GPU-bbbb", 22.0), ("0", 11.0), ("1,0", 22.0)):
        extra = {**fake_nvml(*script), "CUDA_VISIBLE_DEVICES": visible}
        devices = program(tmp_path, body, extra).printed()
        assert devices[0][0] == first
        assert (devices[1][1] > 0) == (
            "," in visible
        )  # an ordinal that is not there has no samples


def test_memory_monitor(tmp_path: Path, fake_nvml: Fake) -> None:
    stats, error, lines = program(
        tmp_path,
        """
        g = GPUMonitor([0, 1], log_interval=0.05)
        g.start_monitoring()
        g.start_monitoring()
        until(lambda: lines)
        g.stop_monitoring()
        g.stop_monitoring()
        try:
            GPUMonitor([2])
            error = "accepted"
        except ValueError as e:
            error = str(e)
        tell([g.get_current_stats(), error, lines])
        """,
        fake_nvml(*TWO_GPUS),
    ).printed()
    assert stats["1"] == {
        "free": 84825604096,
        "total": 85899345920,
        "used": 1073741824,
        "percent": 1.25,
    }
    assert error == "device 2 does not exist; there are 2"
    assert lines[0][0] == "INFO"


@pytest.mark.parametrize("library", ["nvml", "nvml-old"])
def test_memory_that_the_driver_reserves(tmp_path: Path, fake_nvml: Fake, library: str) -> None:
    script = (*TWO_GPUS, "memory_reserved 1 536870912")
    stats = program(
        tmp_path,
        "tell(GPUMonitor([1]).get_current_stats())",
        fake_nvml(*script, library=library),
    ).printed()["1"]
    assert stats["free"] == 85899345920 - 1073741824 - 536870912


def test_memory_monitor_with_a_driver_that_falls_silent(tmp_path: Path, fake_nvml: Fake) -> None:
    first, silent, again, times, lines = program(
        tmp_path,
        """
        import os
        import datastall.gpu_monitor as module
        module.DRIVER_TIMEOUT_S = 3.0
        g = GPUMonitor([0], log_interval=0.05)
        first = g.get_current_stats()
        open(os.environ["FAKE_NVML"], "a").write("hang memory_used 0\\n")
        times = [time.monotonic()]
        silent = g.get_current_stats()
        times.append(time.monotonic())
        again = [g.get_current_stats() for _ in range(100)]
        g.start_monitoring()
        time.sleep(0.2)
        g.stop_monitoring()
        GPUMonitor([0])
        times.append(time.monotonic())
        tell([first, silent, again, [b - a for a, b in zip(times, times[1:])], lines])
        """,
        fake_nvml(*TWO_GPUS),
    ).printed()
    assert first["0"]["used"] == 1073741824
    assert silent == {} and not any(again)
    assert times[0] > 2.9 and times[1] < 2.9  # it is waited for once
    assert [text for _, text in lines if "did not answer" in text] == [
        "the GPU driver did not answer within 3 s"
    ]


def test_lost_stays_lost(tmp_path: Path, fake_nvml: Fake) -> None:
    """The calls after the one that said so fail for reasons of their own."""
    script = (*TWO_GPUS, "fail utilization 0 15", "fail temperature 0 999")
    write(tmp_path, "prog.py", "import time\ntime.sleep(1)\n")
    recorded(tmp_path, "prog.py", extra=fake_nvml(*script))
    gpu = shown(tmp_path)["gpus"][0]
    assert (gpu["state"], gpu["error"]) == ("lost", 15)


def test_hanging_driver_holds_nobody(tmp_path: Path, fake_nvml: Fake) -> None:
    outcome = program(
        tmp_path,
        """
        began = time.monotonic()
        m = NvitopMonitor([0], log_interval=0.05)
        m.start_monitoring()
        m.record_dataloader_wait(1, 0, 1)
        stopped = m.stop_monitoring()
        tell([stopped["dataloader"]["total_batches"], time.monotonic() - began])
        """,
        fake_nvml("devices 1", "hang init"),
    ).printed()
    assert outcome[0] == 1 and outcome[1] < 60


# ---- under `datastall run`, and a whole pipeline ----


def test_waits_by_hand_are_beside_the_verdict(tmp_path: Path, no_driver: dict[str, str]) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import time
        import datastall
        from datastall.gpu_monitor import NvitopMonitor

        monitor = NvitopMonitor([0])
        monitor.set_stage("embed")
        for i, _ in enumerate(datastall.watch(time.sleep(0.002) for _ in range(50))):
            monitor.record_dataloader_wait(1000.0, i, 4, 40)
        """,
    )
    recorded(tmp_path, "prog.py", extra=no_driver)
    run = shown(tmp_path)
    by_source = {loader["source"]: loader for loader in run["loaders"]}
    manual = by_source["manual"]
    assert manual["batches"] == 50 and manual["tokens"] == 2000
    assert manual["in_verdict"] is False
    assert by_source["watch"]["in_verdict"] is True
    # 50 waits of a second by hand would be 500 times what the program took.
    assert only(run["processes"])["input_stall_s"] < 50
    assert only(run["stages"])["name"] == "embed"


def test_pipeline_with_only_the_import_changed(tmp_path: Path, no_driver: dict[str, str]) -> None:
    """examples/embed_proteins.py: a real FASTA file, a real DataLoader, every method."""
    example = Path(__file__).parents[2] / "examples" / "embed_proteins.py"
    import pyrodigal  # type: ignore[import-not-found]

    fasta = Path(pyrodigal.__file__).parent / "tests" / "data" / "SRR492066.meta.faa.gz"
    ended = command(
        [PYTHON, str(example), str(fasta), "--passes", "3", "--metrics", "out"], tmp_path, no_driver
    )
    assert ended.code == 0, ended.err
    assert "210 sequences" in ended.out  # 70 proteins, three passes
    assert "stage embed: " in ended.out
    document = json.loads((tmp_path / "out" / "gpu_metrics.json").read_text())
    waits = document["statistics"]["dataloader"]
    assert waits["total_sequences"] == 210
    assert 0.8 < waits["packing_efficiency"] <= 1
    assert (tmp_path / "out" / "gpu.log").read_text().count("#") > 5
    used = set(re.findall(r"monitor\.(\w+)\(", example.read_text()))
    assert used >= {
        *("start_monitoring", "stop_monitoring", "set_stage", "record_dataloader_wait"),
        *("check_bottleneck", "get_dataloader_statistics", "start_inference_timer"),
        *("get_throughput", "get_average_utilization", "get_peak_memory_usage"),
        *("get_throughput_metrics", "export_metrics", "save_logs"),
    }
