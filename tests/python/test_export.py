# SPDX-License-Identifier: Apache-2.0
"""`datastall export -f perfetto` and `-f csv`, read back: a trace with Perfetto's definitions."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
from support import PROGRAMS, datastall, on_a_busy_machine, recorded, shown

NAME = '=HYPERLINK("x"), <b>'


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, fakes: Path) -> Path:
    folder = tmp_path_factory.mktemp("export")
    script = folder / "nvml.script"
    script.write_text("devices 2\nutilization 0 40\nutilization 1 70\n")
    extra = {"LD_LIBRARY_PATH": str(fakes / "nvml"), "FAKE_NVML": str(script)}
    recorded(folder, str(PROGRAMS / "two_loaders.py"), options=["--name", "one"], extra=extra)
    return folder


def trace_of(folder: Path, *arguments: str) -> Any:
    file = folder / "run.pftrace"
    ended = datastall("export", "-f", "perfetto", "--force", "-o", str(file), folder=folder)
    assert ended.code == 0, ended.err
    trace = Trace()
    trace.ParseFromString(file.read_bytes())
    return trace


class Tracks:
    """Of a trace: names, slices [(begin, end, name, notes)], counters [(time, value)]."""

    def __init__(self, trace: Any) -> None:
        self.names: dict[int, str] = {}
        self.parents: dict[int, int] = {}
        self.slices: dict[int, list[tuple[int, int, str, dict[str, float]]]] = defaultdict(list)
        self.counters: dict[int, list[tuple[int, float]]] = defaultdict(list)
        under_way: dict[int, list[Any]] = defaultdict(list)
        for packet in trace.packet:
            assert packet.trusted_packet_sequence_id
            if packet.HasField("track_descriptor"):
                about = packet.track_descriptor
                self.names[about.uuid] = about.name or about.process.process_name
                self.parents[about.uuid] = about.parent_uuid
            if not packet.HasField("track_event"):
                continue
            event, track = packet.track_event, packet.track_event.track_uuid
            assert track in self.names
            if event.type == TrackEvent.TYPE_COUNTER:
                self.counters[track].append((packet.timestamp, event.double_counter_value))
            elif event.type == TrackEvent.TYPE_SLICE_BEGIN:
                last = self.slices[track][-1][1] if self.slices[track] else 0
                assert under_way[track] or packet.timestamp >= last, "slices overlap"
                under_way[track].append((packet.timestamp, event))
            else:
                begin, opened = under_way[track].pop()
                assert packet.timestamp > begin
                notes = {
                    note.name: note.double_value or note.uint_value
                    for note in opened.debug_annotations
                }
                if under_way[track]:
                    assert opened.name in ("items", "collation")
                else:
                    self.slices[track].append((begin, packet.timestamp, opened.name, notes))
        assert not any(under_way.values()), "a slice has no end"

    def named(self, begin: str) -> list[int]:
        return [track for track, name in self.names.items() if name.startswith(begin)]


def test_waits_are_all_there_to_the_nanosecond(runs: Path) -> None:
    tracks = Tracks(trace_of(runs))
    summary = shown(runs)
    (loop,) = tracks.named("loop")
    for loader in summary["loaders"]:
        waits = [
            end - begin
            for begin, end, name, _ in tracks.slices[loop]
            if name.endswith(f": {loader['name']}")
        ]
        counts = (loader["wait_ms"], loader["startup_ms"], loader["failed_ms"])
        assert len(waits) == sum(part["count"] for part in counts)
        assert sum(waits) == pytest.approx(loader["waiting_s"] * 1e9, abs=1)
        longest = max(part["max"] or 0 for part in (loader["wait_ms"], loader["startup_ms"]))
        assert max(waits) == pytest.approx(longest * 1e6, abs=1)


@on_a_busy_machine
def test_workers_and_their_slowest_items(runs: Path) -> None:
    tracks = Tracks(trace_of(runs))
    train = max(shown(runs)["loaders"], key=lambda loader: loader["batches"])
    assert train["num_workers"] == 2
    for worker in train["workers"]:
        (track,) = tracks.named(f"worker {worker['worker']}, {train['name']}")
        # Each batch once, though rings and kept batches have it.
        assert 0.95 * worker["batches"] <= len(tracks.slices[track]) <= worker["batches"]
        slow = [slot for slot in tracks.slices[track] if slot[3].get("slowest_item_ms", 0) >= 60]
        planted = [slot for slot in slow if slot[3]["slowest_item_index"] % 50 == 49]
        assert planted and len(planted) > 0.7 * len(slow), slow  # others may have waited for a CPU


def test_gpu_counters(runs: Path) -> None:
    tracks = Tracks(trace_of(runs))
    gpus = tracks.named("GPU 0: ") + tracks.named("GPU 1: ")
    assert len(gpus) == 2
    for gpu, busy in zip(gpus, (40, 70), strict=True):
        (track,) = (t for t in tracks.named("busy") if tracks.parents[t] == gpu)
        assert {round(value) for _, value in tracks.counters[track]} == {busy}
        times = [time for time, _ in tracks.counters[track]]
        assert times == sorted(times)


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_adds_up(runs: Path) -> None:
    ended = datastall("export", "-f", "csv", "one", "one", folder=runs)
    assert ended.code == 0, ended.err
    rows = table_of(ended.out)
    summary = shown(runs)
    for loader in summary["loaders"]:
        own = [row for row in rows if row["what"] == "loader" and row["name"] == loader["name"]]
        assert sum(int(row["batches"]) for row in own) == 2 * loader["batches"]  # asked for twice
        assert sum(int(row["samples"]) for row in own) == 2 * loader["samples"]
        waited = sum(float(row["waiting_s"]) for row in own)
        assert waited == pytest.approx(2 * loader["waiting_s"], abs=1e-6)
        assert {row["tokens"] for row in own} == {""}  # unknown is empty
    gpus = [row for row in rows if row["what"] == "gpu"]
    busy = {float(row["busy_share"]) for row in gpus if row["name"].startswith("GPU 1")}
    assert all(share == pytest.approx(0.7, abs=1e-6) for share in busy)
    assert busy
    assert all(row["batches"] == "" for row in gpus)


def test_names_stay_cells(runs: Path, tmp_path: Path) -> None:
    source = f"import datastall\nfor b in datastall.watch([1, 2], name={NAME!r}): pass\n"
    recorded(tmp_path, "-c", source)
    rows = table_of(datastall("export", "-f", "csv", folder=tmp_path).out)
    assert {row["name"] for row in rows} == {"'" + NAME}
    assert {len(row) for row in rows} == {17}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-f", "perfeto"], "did you mean 'perfetto'?"),
        (["-f", "perfetto", "-o", "-", "one", "one"], "a trace holds one run"),
        (["-f", "csv", "nowhere"], "there is no run 'nowhere'"),
        (["-f", "csv", "-o", "nvml.script"], "--force replaces it"),
    ],
)
def test_what_cannot_be_is_said(runs: Path, arguments: list[str], says: str) -> None:
    ended = datastall("export", *arguments, folder=runs)
    assert ended.code in (1, 2) and ended.out == ""
    assert says in " ".join(ended.err.split())
