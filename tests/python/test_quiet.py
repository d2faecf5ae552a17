# SPDX-License-Identifier: Apache-2.0
"""Loops whose waits are short: little is asked about each of them, and no count suffers."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from support import PYTHON, datastall, on_a_busy_machine, only, recorded, shown

#: A GPU that has nothing to do, and batches that are there at once.
PROGRAM = """
    import ctypes, time
    import torch
    from torch.utils.data import DataLoader, Dataset
    import datastall
    from datastall import _core

    cuda = ctypes.CDLL("libcuda.so.1", mode=ctypes.RTLD_GLOBAL)
    _core.set_gpu_questions(lambda device: 0, lambda: True)
    torch.cuda.is_initialized = lambda: True

    class Items(Dataset):
        fails = False

        def __init__(self):
            self.item = torch.ones(4)

        def __len__(self):
            return 1 << 30

        def __getitem__(self, index):
            if self.fails:
                raise ValueError("broken item")
            return self.item

    def carried():
        return sum(loader["carried_wait_s"] for loader in datastall.summary()["loaders"])

    def enough(count):
        # On a busy machine no 64 waits in a row may be short.
        return count >= 2000 and count % 500 == 0 and (carried() > 0 or count >= 5000)
"""


def run(tmp_path: Path, fake_nvml: Any, loop: str, code: int = 0) -> tuple[Any, dict[str, Any]]:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM) + textwrap.dedent(loop))
    extra = fake_nvml("devices 1", library="nvml-cuda")
    ended = datastall("run", "-q", PYTHON, "program.py", folder=tmp_path, extra=extra)
    assert ended.code == code, ended.err
    return ended, shown(tmp_path)


@pytest.mark.parametrize(
    "options",
    ["batch_size=3", "batch_size=None", "batch_size=3, num_workers=2", "batch_size=3, generator=g"],
)
def test_counts_are_exact(tmp_path: Path, fake_nvml: Any, options: str) -> None:
    _, told = run(
        tmp_path,
        fake_nvml,
        f"""
        g = torch.Generator()
        count = 0
        for batch in DataLoader(Items(), {options}):
            count += 1
            if enough(count):
                break
            time.sleep(0.0005)  # workers are ahead
        print(count)
        """,
    )
    loader = only(told["loaders"])
    batches = loader["batches"]
    assert batches >= 2000 and batches % 500 == 0
    if "None" in options:
        assert loader["samples"] == 4 * batches  # of a tensor, its first dimension
    else:
        assert loader["samples"] == 3 * batches
    exposed = loader["exposed_stall_s"]
    assert (batches >= 5000 or loader["carried_wait_s"] > 0) and (
        loader["carried_wait_s"] < loader["waiting_s"]
    )
    assert exposed["event_coverage"] > 0.5  # the first waits come before anybody knows of a GPU
    assert exposed["lower"] <= exposed["upper"] <= loader["waiting_s"] + 1e-9
    # The stream was always empty: what is no more than "at most" was long after all.
    assert exposed["lower"] >= 0.5 * exposed["upper"]
    if "num_workers" in options:
        return
    worker = only(loader["workers"])
    items = batches if "None" in options else 3 * batches
    assert (worker["batches"], worker["items"], worker["failed"]) == (batches, items, 0)
    made_s = worker["items_s"] + worker["collate_s"]
    assert 0 < made_s < loader["waiting_s"]
    assert sum(loader["why"]["shares"].values()) == pytest.approx(1)


def test_an_error_comes_as_without(tmp_path: Path, fake_nvml: Any) -> None:
    ended, told = run(
        tmp_path,
        fake_nvml,
        """
        items, count = Items(), 0
        for batch in DataLoader(items, batch_size=3):
            count += 1
            items.fails = enough(count)
        """,
        code=1,
    )
    lines = ended.err.splitlines()
    assert lines[-1] == "ValueError: broken item"
    assert not any("datastall" in line for line in lines if line.startswith("  File"))
    loader = only(told["loaders"])
    assert loader["failed_ms"]["count"] == 1
    worker = only(loader["workers"])
    assert (worker["batches"], worker["failed"]) == (loader["batches"], 1)
    assert worker["items"] == 3 * loader["batches"]


def test_a_stream_that_ends_in_the_middle(tmp_path: Path, fake_nvml: Any) -> None:
    """The last batch of a stream is smaller: its items are counted one by one."""
    _, told = run(
        tmp_path,
        fake_nvml,
        """
        from torch.utils.data import IterableDataset

        class Stream(IterableDataset):
            def __iter__(self):
                item = torch.ones(4)
                for number in range(6001):
                    yield item

        for batch in DataLoader(Stream(), batch_size=3):
            pass
        """,
    )
    loader = only(told["loaders"])
    assert (loader["batches"], loader["samples"]) == (2001, 6001)
    worker = only(loader["workers"])
    assert (worker["batches"], worker["items"], worker["streams_ended"]) == (2001, 6001, 1)


#: Items that are there at once, but for some; and a step of half a millisecond.
WITH_LONG_ONES = """
    import time
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Items(Dataset):
        def __len__(self):
            return 4000

        def __getitem__(self, index):
            if IS_LONG:
                time.sleep(SECONDS)
            return torch.ones(4)

    slept = 0
    for batch in DataLoader(Items(), batch_size=1):
        begin = time.perf_counter()
        time.sleep(0.0002)
        slept += time.perf_counter() - begin
    print(slept)
"""


@on_a_busy_machine
@pytest.mark.parametrize(
    ("is_long", "seconds", "index"),
    [("index % 100 == 99", 0.08, None), ("index == 3500", 4.0, 3500)],
    ids=["now and then", "once"],
)
def test_a_long_wait_among_them_is_told(
    tmp_path: Path, is_long: str, seconds: float, index: int | None
) -> None:
    source = WITH_LONG_ONES.replace("IS_LONG", is_long).replace("SECONDS", str(seconds))
    (tmp_path / "program.py").write_text(textwrap.dedent(source))
    ended = recorded(tmp_path, "program.py")
    loader = only(shown(tmp_path)["loaders"])
    why, worker = loader["why"], only(loader["workers"])
    assert why["primary"] == "blocked"
    assert why["shares"]["blocked"] > 0.5
    assert why["shares"]["unknown"] < 0.1
    assert worker["items_blocked_s"] > 0.6 * seconds * (1 if index is not None else 40)
    slowest = worker["slowest_items"][0]
    assert slowest["ms"] >= 1000 * seconds
    assert index is None or slowest["index"] == index
    # What lies between two batches is the program's step, whether they were looked into or not, and
    # what next() does before and after it: 0.1 ms on a slow machine.
    slept = float(ended.out.split()[-1])
    assert 0.7 * slept < worker["gap_s"] < 1.3 * slept + 4000 * 0.0003
