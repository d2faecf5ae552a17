# SPDX-License-Identifier: Apache-2.0
"""Why a loader is slow, by planted programs; and that looking for it changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import (
    PYTHON,
    command,
    datastall,
    environment,
    on_a_busy_machine,
    only,
    recorded,
    shown,
    shown_text,
    warm_python,
    write,
)

CAUSES = Path(__file__).parents[1] / "causes"
sys.path.insert(0, str(CAUSES))

from run_plants import planted, run_plant  # noqa: E402

#: Dominant by construction. The programs as somebody would write them, which a busy machine may
#: turn into another case, are the table of `python tests/causes/run_plants.py`.
DOMINANT = planted("dominant")
#: What of it needs a CPU all the time (unpickling in the loop is transfer), and what takes its
#: place where others have the CPUs.
COMPUTING = ("compute", "transfer")
BUSY_CPUS = ("cpu_contention", "loop_cpu_wait")
#: What hinders the loop itself looks like the way from the worker where all CPUs are taken.
HINDERED = ("interpreter", "loop_cpu_wait")
STATES = {
    *("compute", "compute_in_threads", "cpu_contention", "blocked", "collate", "transfer"),
    *("loop_cpu_wait", "interpreter", "overhead", "pin", "sampler", "startup", "unknown"),
}


def assert_adds_up(loader: dict[str, Any]) -> None:
    why = loader["why"]
    assert set(why["shares"]) == STATES
    assert sum(why["shares"].values()) == pytest.approx(1.0, abs=1e-6)
    assert all(share >= 0 for share in why["shares"].values())
    assert why["stall_s"] == pytest.approx(loader["waiting_s"], abs=1e-6)  # no GPU here
    assert 0 <= why["window"] <= why["head_of_line"] <= 1


#: Wall clock, CPU time and time waited for a CPU are read again where a thread was put aside
#: between two of them (a CPU quota does so at the return from a system call), but not for ever:
#: where each reading was torn, it waited for longer than the wall clock says, and that is taken off
#: what it was blocked.
LEAST_TOLD, LEAST_BLOCKED = 0.9, 0.6


def assert_slept(slept_s: float, blocked_s: float, waited_for_cpu_s: float) -> None:
    """A sleeping thread neither runs nor waits for a CPU, whatever the others do."""
    assert blocked_s >= LEAST_BLOCKED * slept_s, (slept_s, blocked_s, waited_for_cpu_s)
    assert blocked_s + waited_for_cpu_s >= LEAST_TOLD * slept_s, (slept_s, blocked_s)


def assert_workers_slept(loader: dict[str, Any], slept_s: float) -> None:
    blocked_s, waited_for_cpu_s = (
        sum(worker[key] for worker in loader["workers"])
        for key in ("items_blocked_s", "items_cpu_wait_s")
    )
    assert_slept(slept_s, blocked_s, waited_for_cpu_s)


@pytest.mark.parametrize("name", DOMINANT)
@on_a_busy_machine
def test_a_planted_cause_is_named(tmp_path: Path, name: str) -> None:
    loader = run_plant(name, tmp_path, environment(), "dominant", warm_python())
    why = loader["why"]
    expected = loader["planted"]
    if expected in COMPUTING:  # on a busy machine others are on the CPUs, and that is told
        assert why["primary"] in (expected, *BUSY_CPUS), why
        assert why["shares"][expected] > 0.01, why
        assert sum(why["shares"][one] for one in (expected, *BUSY_CPUS)) > 0.9, why
    elif expected in HINDERED:
        assert why["primary"] in (expected, "transfer", *BUSY_CPUS), why
        idle = why["host"]["idle_cpus"]
        assert why["primary"] == expected or (idle is not None and idle < 0.5), why
        assert why["shares"][expected] > 0.01, why
        if why["primary"] == "loop_cpu_wait" and (why["host"]["others_cpus"] or 0) >= 0.5:
            assert why["suggestion"].startswith("more CPUs, or fewer other programs"), why
    else:
        assert why["primary"] == expected, why
    assert_adds_up(loader)
    if expected == "none":
        assert why["suggestion"] is None
        assert why["evidence"] == []
    else:
        assert why["suggestion"]
        assert any(any(c.isdigit() for c in line) for line in why["evidence"])


FEED = """
    import json, os, sys, time
    import torch
    from torch.utils.data import DataLoader, Dataset, IterableDataset

    class Map(Dataset):
        def __len__(self):
            return 40
        def __getitem__(self, i):
            time.sleep(0.2 if i == 17 else 0.002)
            return torch.full((2,), float(i))

    class Many(Map):
        def __getitems__(self, indices):
            assert type(indices) is list
            return [self[i] for i in indices]

    class Stream(IterableDataset):
        def __iter__(self):
            info = torch.utils.data.get_worker_info()
            for i in range(info.id if info else 0, 40, info.num_workers if info else 1):
                time.sleep(0.002)
                yield torch.full((2,), float(i))

    def main(kind, workers, how, batch):
        data = {"map": Map, "many": Many, "stream": Stream}[kind]()
        options = {"multiprocessing_context": how} if workers else {}
        loader = DataLoader(
            data, batch_size=batch or None, num_workers=workers,
            persistent_workers=workers > 0, **options,
        )
        seen = [b[..., 0].reshape(-1).tolist() for _ in range(2) for b in loader]
        print(json.dumps([value for values in seen for value in values]))

    if __name__ == "__main__":
        main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
"""


def fed(kind: str, workers: int, batch: int) -> list[float]:
    """What FEED prints by itself: workers take turns, each with a batch of its own share."""
    if kind != "stream" or workers == 0:
        return [float(i) for i in range(40)] * 2
    turns = [
        range(worker, 40, workers)[k : k + batch]
        for k in range(0, 40 // workers, batch)
        for worker in range(workers)
    ]
    return [float(i) for turn in turns for i in turn] * 2


@on_a_busy_machine
@pytest.mark.parametrize(
    ("kind", "workers", "how", "batch"),
    [
        ("map", 0, "fork", 4),
        ("map", 2, "fork", 4),
        ("map", 2, "spawn", 4),
        ("map", 1, "forkserver", 4),
        ("map", 2, "fork", 0),
        ("many", 2, "fork", 4),
        ("stream", 2, "fork", 4),
        ("stream", 0, "fork", 0),
    ],
)
def test_every_way_of_feeding(
    tmp_path: Path, kind: str, workers: int, how: str, batch: int
) -> None:
    write(tmp_path, "feed.py", FEED)
    arguments = ["feed.py", kind, str(workers), how, str(batch)]
    assert recorded(tmp_path, *arguments).printed() == fed(kind, workers, batch)
    loader = only(shown(tmp_path)["loaders"])
    assert_adds_up(loader)
    assert len(loader["workers"]) == max(1, workers)
    assert sum(worker["items"] for worker in loader["workers"]) == 80
    for worker in loader["workers"]:
        assert worker["worker"] is None if workers == 0 else worker["worker"] < workers
        assert worker["items_s"] >= worker["items_blocked_s"] > 0
        assert worker["generations"] == (2 if workers == 0 else 1)  # workers are persistent
    slept_s = 2 * (40 * 0.002 if kind == "stream" else 39 * 0.002 + 0.2)
    assert_workers_slept(loader, slept_s)
    assert loader["why"]["shares"]["unknown"] < 0.1
    blocked_s, contended_s = (
        loader["why"]["shares"][state] * loader["why"]["stall_s"]
        for state in ("blocked", "cpu_contention")
    )
    if workers == 0:  # the loop waited for every item
        assert_slept(slept_s, blocked_s, contended_s)
    else:
        assert blocked_s > 0
    if kind == "map" and batch:
        slowest = max(
            (item for worker in loader["workers"] for item in worker["slowest_items"]),
            key=lambda item: item["ms"],
        )
        assert slowest["index"] == 17
        assert slowest["ms"] >= 200
    if workers:
        assert loader["depth"]["waits"] == loader["batches"]
        assert 0 <= loader["depth"]["ready_mean"] <= loader["depth"]["possible_mean"]


def test_workers_without_persistence_share_entries(tmp_path: Path) -> None:
    write(
        tmp_path,
        "epochs.py",
        """
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        loader = DataLoader(TensorDataset(torch.arange(16)), batch_size=4, num_workers=2)
        for _ in range(5):
            for _ in loader:
                pass
        """,
    )
    recorded(tmp_path, "epochs.py")
    workers = only(shown(tmp_path)["loaders"])["workers"]
    assert [worker["worker"] for worker in workers] == [0, 1]
    assert [worker["generations"] for worker in workers] == [5, 5]
    assert [worker["batches"] for worker in workers] == [10, 10]


@pytest.mark.parametrize(("context", "epochs"), [("fork", 60), ("spawn", 2), ("forkserver", 3)])
def test_workers_of_short_epochs_are_counted_to_the_last_batch(
    tmp_path: Path, context: str, epochs: int
) -> None:
    """They have made everything before their parent's iter() returns, and make no more."""
    write(
        tmp_path,
        "short.py",
        f"""
        import time
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        class Slow:
            def __iter__(self):
                for i in range(3):
                    yield [i]
                    time.sleep(0.01)

            def __len__(self):
                return 3

        if __name__ == "__main__":
            loader = DataLoader(
                TensorDataset(torch.arange(3)), batch_sampler=Slow(), num_workers=2,
                multiprocessing_context="{context}",
            )
            for _ in range({epochs}):
                for _ in loader:
                    pass
        """,
    )
    recorded(tmp_path, "short.py")
    loader = only(shown(tmp_path)["loaders"])
    assert loader["batches"] == 3 * epochs
    workers = [(w["worker"], w["generations"], w["batches"]) for w in loader["workers"]]
    assert workers == [(0, epochs, 2 * epochs), (1, epochs, epochs)]
    assert loader["unknown_worker_batches"] == 0


def test_batches_of_workers_that_vanish_are_said(tmp_path: Path) -> None:
    write(
        tmp_path,
        "killed.py",
        """
        import multiprocessing.util, os, time
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        open("made", "w").close()

        def leave(batch):
            # The message goes out, and the process is gone before it could look for its entry.
            multiprocessing.util.Finalize(None, os._exit, args=(0,), exitpriority=-50)
            with open("made", "a") as made:
                made.write(".")
            return batch

        class Slow:
            "Yields the next when the batch before was made and its worker waits for another."
            def __iter__(self):
                for i in range(2):
                    yield [i]
                    while os.path.getsize("made") < 1 + i:
                        time.sleep(0.01)
                    time.sleep(0.2)
                os.truncate("made", 0)

            def __len__(self):
                return 2

        loader = DataLoader(
            TensorDataset(torch.arange(2)), batch_sampler=Slow(), num_workers=2, collate_fn=leave
        )
        for _ in range(3):
            for _ in loader:
                pass
        """,
    )
    recorded(tmp_path, "killed.py")
    loader = only(shown(tmp_path)["loaders"])
    known = sum(worker["batches"] for worker in loader["workers"])
    assert known + (loader["unknown_worker_batches"] or 0) == loader["batches"] == 6
    assert loader["unknown_worker_batches"] > 0
    assert "nothing is known" in shown_text(tmp_path)


@on_a_busy_machine
def test_what_workers_did_survives_a_kill(tmp_path: Path) -> None:
    write(
        tmp_path,
        "killed.py",
        """
        import os, signal, time
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Slow(Dataset):
            def __len__(self):
                return 1000
            def __getitem__(self, i):
                time.sleep(0.01)
                return torch.zeros(2)

        for k, batch in enumerate(DataLoader(Slow(), batch_size=4, num_workers=2)):
            if k == 30:
                os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    assert datastall("run", PYTHON, "killed.py", folder=tmp_path).code == 128 + 9
    loader = only(shown(tmp_path)["loaders"])
    assert_adds_up(loader)
    assert sum(worker["batches"] for worker in loader["workers"]) >= 31
    assert_workers_slept(loader, 31 * 4 * 0.01)
    # A busy machine adds to the other states.
    loaded = {"cpu_contention", "transfer", "startup"}
    shares = {state: s for state, s in loader["why"]["shares"].items() if state not in loaded}
    assert 0 < shares["blocked"] == max(shares.values())


TRACEBACK = """
    import sys, traceback
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Broken(Dataset):
        def __len__(self):
            return 8
        def __getitem__(self, i):
            if i == 5:
                raise ValueError(f"item {i} is broken")
            return torch.zeros(2)

    class BrokenMany(Broken):
        def __getitems__(self, indices):
            return [self[i] for i in indices]

    def collate(rows):
        raise KeyError("no such field")

    for data, options in (
        (Broken(), {}), (BrokenMany(), {}), (Broken(), {"batch_size": None}),
        (Broken(), {"collate_fn": collate}), (BrokenMany(), {"collate_fn": collate}),
    ):
        for workers in (0, 1):
            try:
                for batch in DataLoader(data, **{"batch_size": 4, **options}, num_workers=workers):
                    pass
            except Exception:
                print(traceback.format_exc().replace("pid", ""))
"""


def test_tracebacks_are_the_same(tmp_path: Path) -> None:
    write(tmp_path, "broken.py", TRACEBACK)
    bare = command([PYTHON, "broken.py"], tmp_path)
    assert bare.code == 0, bare.err
    assert bare.out.count("item 5 is broken") >= 6
    assert recorded(tmp_path, "broken.py").out == bare.out


def test_random_state_and_pickles_are_the_same(tmp_path: Path) -> None:
    write(
        tmp_path,
        "state.py",
        """
        import hashlib, multiprocessing.reduction as reduction, random, zlib
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Noisy(Dataset):
            def __len__(self):
                return 24
            def __getitem__(self, i):
                sent = reduction.ForkingPickler.dumps((i, [i] * 3))
                return torch.tensor([i, random.random(), torch.rand(1).item(), zlib.crc32(sent)])

        torch.manual_seed(5)
        loader = DataLoader(Noisy(), batch_size=4, num_workers=2, shuffle=True)
        digest = hashlib.sha256()
        for _ in range(2):
            for batch in loader:
                digest.update(batch.numpy().tobytes())
        print(digest.hexdigest(), torch.rand(1).item())
        """,
    )
    assert (
        recorded(tmp_path, "state.py").out.splitlines()[-1]
        == (command([PYTHON, "state.py"], tmp_path).out.splitlines()[-1])
    )


def test_the_dataset_goes_with_its_last_reference(tmp_path: Path) -> None:
    """No cycle of ours keeps it until the garbage collector runs."""
    write(
        tmp_path,
        "freed.py",
        """
        import gc, weakref
        import torch
        from torch.utils.data import DataLoader, Dataset

        gc.disable()

        class Small(Dataset):
            def __len__(self):
                return 8
            def __getitem__(self, i):
                return torch.zeros(2)

        for kind in (4, None):
            data = Small()
            ref = weakref.ref(data)
            for _ in DataLoader(data, batch_size=kind):
                pass
            del data
            print(ref() is None)
        """,
    )
    assert recorded(tmp_path, "freed.py").out.splitlines()[:2] == ["True", "True"]


def test_in_words(tmp_path: Path) -> None:
    write(
        tmp_path,
        "slow.py",
        """
        import time
        from torch.utils.data import DataLoader

        class Slow:
            def __len__(self):
                return 40
            def __getitem__(self, i):
                time.sleep(0.03)
                return i

        for _ in DataLoader(Slow(), batch_size=4):
            pass
        """,
    )
    recorded(tmp_path, "slow.py")
    text = shown_text(tmp_path)
    lines = [line for line in text.splitlines() if line.startswith(("WHY", "TRY"))]
    assert lines[0].startswith("WHY      blocked: of the stall:")
    assert lines[1].startswith("TRY      ")
    for options in ([], ["-v"]):
        card = datastall("show", *options, folder=tmp_path).out
        assert max(map(len, card.splitlines())) <= 80


@on_a_busy_machine
def test_what_the_first_item_alone_does_is_no_matter_of_epochs(tmp_path: Path) -> None:
    """A library that compiles something once: half of a short run, and of a long one nothing."""
    write(
        tmp_path,
        "once.py",
        """
        import time
        import torch
        from torch.utils.data import DataLoader

        class Items:
            compiled = False
            def __len__(self):
                return 48
            def __getitem__(self, i):
                time.sleep(0.008 if self.compiled else 3)
                self.compiled = True
                return torch.tensor(i)

        loader = DataLoader(Items(), batch_size=4, num_workers=1, persistent_workers=True)
        for _ in range(3):
            for _ in loader:
                pass
        """,
    )
    recorded(tmp_path, "once.py")
    loader = only(shown(tmp_path)["loaders"])
    assert loader["startup_ms"]["sum"] > loader["wait_ms"]["sum"]
    assert loader["why"]["primary"] not in ("epoch_start", "startup"), loader["why"]


def test_bytes_of_the_tensors_of_a_batch(tmp_path: Path) -> None:
    """Of the largest one, not of what is pickled; also where the loop makes its own."""
    write(
        tmp_path,
        "bytes.py",
        """
        import sys
        import torch
        from torch.utils.data import DataLoader

        class Items:
            def __len__(self):
                return 40  # what the last batches sent may be missing
            def __getitem__(self, i):
                return {"x": torch.zeros(1000), "y": torch.tensor(i), "name": str(i)}

        def turned(items):  # of another order: not all that is told of a batch would be all of it
            return torch.stack([item["x"] for item in items]).T, items[0]["y"]

        collate = {"list": list, "turned": turned}.get(sys.argv[1])
        workers = int(sys.argv[2])
        for _ in DataLoader(Items(), batch_size=4, num_workers=workers, collate_fn=collate):
            pass
        """,
    )
    for kind, told in (("stacked", 4 * 1000 * 4 + 4 * 8), ("list", 4 * (1000 * 4 + 8))):
        for workers in ("0", "1"):
            folder = kind + workers
            recorded(tmp_path, "bytes.py", kind, workers, options=["--dir", folder])
            (worker,) = only(shown(tmp_path, "--dir", folder)["loaders"])["workers"]
            assert worker["tensor_bytes"] == told
            assert (worker["sent_bytes"] > 0) == (workers == "1")
    recorded(tmp_path, "bytes.py", "turned", "0", options=["--dir", "turned"])
    (worker,) = only(shown(tmp_path, "--dir", "turned")["loaders"])["workers"]
    assert worker["tensor_bytes"] is None


@on_a_busy_machine
def test_a_lock_that_workers_share_is_told_from_a_slow_answer(tmp_path: Path) -> None:
    """The same waits, behind a lock and not: more workers are offered for one of them only."""
    write(
        tmp_path,
        "lock.py",
        """
        import contextlib, multiprocessing, sys, time
        import torch
        from torch.utils.data import DataLoader

        LOCK = multiprocessing.Lock() if "lock" in sys.argv else contextlib.nullcontext()

        class Items:
            def __len__(self):
                return 320
            def __getitem__(self, i):
                with LOCK:
                    time.sleep(0.01)
                return torch.zeros(8)

        for _ in DataLoader(Items(), batch_size=4, num_workers=2):
            pass
        """,
    )
    for kind in ("lock", "answer"):
        recorded(tmp_path, "lock.py", kind, options=["--dir", kind])
        loader = only(shown(tmp_path, "--dir", kind)["loaders"])
        looks, locked = (sum(w[n] for w in loader["workers"]) for n in ("looks", "looks_in_lock"))
        if looks == 0:
            pytest.skip("this kernel does not tell which system call a child is in")
        predicted = datastall("predict", "--dir", kind, folder=tmp_path).out
        evidence = " ".join(loader["why"]["evidence"])
        assert ("a lock that they share" in predicted) == (kind == "lock"), predicted
        assert ("a lock that processes share" in evidence) == (kind == "lock"), evidence
        if kind == "lock":
            assert locked > 0.1 * looks
            assert "num_workers" not in loader["why"]["suggestion"]
            assert "wait for one lock" in loader["why"]["suggestion"]
        else:
            assert locked == 0


def test_without_workers_nothing_is_claimed(tmp_path: Path) -> None:
    """Waits that somebody reports by hand have no cause."""
    write(
        tmp_path,
        "by_hand.py",
        """
        import time
        import datastall

        def slow():
            for i in range(20):
                time.sleep(0.01)
                yield i

        for _ in datastall.watch(slow(), name="stream"):
            pass
        """,
    )
    recorded(tmp_path, "by_hand.py")
    loader = only(shown(tmp_path)["loaders"])
    assert loader["why"]["primary"] == "unknown"
    assert loader["why"]["shares"]["unknown"] > 0.99
    assert loader["workers"] == []
    assert loader["depth"]["ready_mean"] is None
    assert "WHY" not in shown_text(tmp_path)


@on_a_busy_machine
def test_the_suggestion_respects_the_cpus(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU only")
    loader = run_plant("contention_four_on_one", tmp_path, environment(), python=warm_python())
    host = loader["why"]["host"]
    assert 0 < host["cpus_usable"] <= 1.0  # less under a CPU quota
    assert "num_workers=" not in (loader["why"]["suggestion"] or "")
    # Where others are on that CPU as well, the loop waits for it for the longer part.
    shares = loader["why"]["shares"]
    assert shares["cpu_contention"] > 0.05
    assert sum(shares[one] for one in BUSY_CPUS) > 0.5, shares


#: Others' programs, which are nobody's children: they are started by a shell that ends.
NEIGHBOURS = """
    import os, signal, subprocess, sys

    def begin(count):
        start = '"$0" -S -c "while True: pass" > /dev/null 2>&1 & echo $!'
        spin = ["sh", "-c", start, sys.executable]
        return [int(subprocess.check_output(spin)) for _ in range(count)]

    def end(others):
        for other in others:
            os.kill(other, signal.SIGKILL)
"""

BESIDE_OTHERS = """
    import os, time
    import neighbours
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Rows(Dataset):
        def __len__(self):
            return 80
        def __getitem__(self, i):
            return torch.full((8,), float(i))

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    others = neighbours.begin(2)
    for _ in DataLoader(Rows(), batch_size=2, num_workers=1):
        time.sleep(0.1)
    neighbours.end(others)
"""


@on_a_busy_machine
def test_a_healthy_program_beside_others_is_not_accused(tmp_path: Path) -> None:
    """However many the others are: they may starve it, but nothing is said against it."""
    write(tmp_path, "neighbours.py", NEIGHBOURS)
    write(tmp_path, "beside.py", BESIDE_OTHERS)
    recorded(tmp_path, "beside.py")
    result = shown(tmp_path)
    why = only(result["loaders"])["why"]
    if why["host"]["others_cpus"] is None:
        pytest.skip("the kernel does not tell which CPUs are idle")
    assert why["host"]["others_cpus"] > 0.5, why
    assert 0 <= why["for_others_s"] <= why["stall_s"], why
    process = only(result["processes"])
    # Whoever polls reads less of the workers, and says the same.
    live = datastall("top", "--once", "--json", "--dir", "datastall-runs", folder=tmp_path)
    assert only(json.loads(live.out)["runs"])["verdict"] == result["verdict"]
    if process["for_others_share"] > 0:
        assert result["verdict"]["severity"] == "none", result["verdict"]
        assert "for CPUs that others used" in result["verdict"]["text"]
    startup_s = why["shares"]["startup"] * why["stall_s"]
    if why["primary"] == "none":
        assert why["suggestion"] is None, why
    elif startup_s < 1:  # longer than that, it is said, whoever is to blame
        assert why["primary"] in BUSY_CPUS, why
        assert why["suggestion"].startswith("more CPUs, or fewer other programs"), why


@pytest.mark.parametrize("others", [0, 6])
@on_a_busy_machine
def test_programs_that_items_wait_for_compute(others: int, tmp_path: Path) -> None:
    """Beside others on the CPUs they wait for one most of the time, which looks blocked."""
    write(tmp_path, "neighbours.py", NEIGHBOURS)
    write(
        tmp_path,
        "piped.py",
        """
        import os, re, resource, subprocess, sys, time
        import neighbours
        import torch
        from torch.utils.data import DataLoader, Dataset

        others = neighbours.begin(OTHERS)
        BURN = "import time\\nwhile time.process_time() < 0.1: pass"

        took_s, runnable = 0.0, []

        class Piped(Dataset):
            def __len__(self):
                return 12
            def __getitem__(self, i):
                global took_s
                stat = open("/proc/stat").read()
                runnable.append(int(re.search(r"^procs_running (\\d+)", stat, re.M)[1]))
                began = time.monotonic()
                subprocess.run([sys.executable, "-S", "-c", BURN], check=True)
                took_s += time.monotonic() - began
                return torch.full((2,), float(i))

        for _ in DataLoader(Piped(), batch_size=2, num_workers=0):
            pass
        neighbours.end(others)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(used.ru_utime + used.ru_stime, took_s, sum(runnable) / len(runnable) / os.cpu_count())
        """.replace("OTHERS", str(others)),
    )
    used_s, took_s, threads_per_cpu = map(float, recorded(tmp_path, "piped.py").out.split())
    loader = only(shown(tmp_path)["loaders"])
    worker = only(loader["workers"])
    assert used_s > 1
    # The item may have waited for a CPU itself while its program ran.
    told_s = worker["items_in_threads_s"] + worker["items_cpu_wait_s"]
    assert told_s > 0.9 * used_s, worker
    assert worker["items_in_threads_s"] > 0.5 * used_s, worker
    if took_s > 1.5 * used_s * max(1.0, threads_per_cpu):
        pytest.skip("a quota, or another session's threads, has more than its part of the CPUs")
    assert loader["why"]["primary"] in ("compute_in_threads", *BUSY_CPUS), loader["why"]


@on_a_busy_machine
def test_who_has_the_interpreter_waits_for_a_cpu(tmp_path: Path) -> None:
    """Each neighbour in a session of its own, as a scheduler that groups by session serves them."""
    spin = [PYTHON, "-S", "-c", "while True: pass"]
    others = [subprocess.Popen(spin, start_new_session=True) for _ in range(6)]
    try:
        name = "interpreter_of_another_thread"
        why = run_plant(name, tmp_path, environment(), "dominant", warm_python())["why"]
    finally:
        for other in others:
            other.kill()
            other.wait()
    # Where only what the thread ran is told, or the crowd's mean, most of it is the batches' way.
    assert why["shares"]["interpreter"] > why["shares"]["transfer"], why
    assert why["primary"] in ("interpreter", "transfer", *BUSY_CPUS), why


@on_a_busy_machine
def test_programs_that_live_on_are_no_others(tmp_path: Path) -> None:
    """A worker starts one and asks it for every item; it computes, and the item waits for it."""
    write(
        tmp_path,
        "kept.py",
        """
        import subprocess, sys, time
        import torch
        from torch.utils.data import DataLoader, Dataset

        BURN = (
            "import sys, time\\nfor line in sys.stdin:\\n end = time.process_time() + 0.1\\n"
            " while time.process_time() < end: pass\\n print(flush=True)"
        )

        class Asked(Dataset):
            other = None
            def __len__(self):
                return 30
            def __getitem__(self, i):
                if self.other is None:
                    self.other = subprocess.Popen(
                        [sys.executable, "-S", "-c", BURN],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    )
                self.other.stdin.write(b"x\\n")
                self.other.stdin.flush()
                self.other.stdout.readline()
                return torch.full((2,), float(i))

        for _ in DataLoader(Asked(), batch_size=2, num_workers=1):
            pass
        """,
    )
    recorded(tmp_path, "kept.py")
    why = only(shown(tmp_path)["loaders"])["why"]
    if why["host"]["children_cpus"] is None:
        pytest.skip("the kernel does not tell a process's children")
    # Three seconds of CPU time, of which the first and the last notes miss some.
    assert why["host"]["children_cpus"] > 0, why
    assert any("started and keep" in line for line in why["evidence"]), why


def test_what_a_stream_does_first_is_paid_without_workers_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        "opened.py",
        """
        import time
        import torch
        from torch.utils.data import DataLoader, IterableDataset

        class Rows(IterableDataset):
            def __iter__(self):
                time.sleep(0.5)
                return iter(torch.zeros(40, 2))

        loader = DataLoader(Rows(), batch_size=2, num_workers=1)
        for _ in range(4):
            for _ in loader:
                pass
        """,
    )
    recorded(tmp_path, "opened.py")
    why = only(shown(tmp_path)["loaders"])["why"]
    assert not (why["suggestion"] or "").startswith("num_workers=0"), why
    # Half a second of each of the four, with the workers' starts beside it.
    if why["primary"] == "startup" and why["shares"]["startup"] * why["stall_s"] < 4:
        assert "__iter__" in why["suggestion"], why
