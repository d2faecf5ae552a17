# SPDX-License-Identifier: Apache-2.0
"""A run file that is cut while it is written to, whoever has set handlers of SIGBUS since.

The program's output and exit code are as without datastall, and one sentence is said.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support import FOREIGN_LOADER, PYTHON, command, datastall, only, recorded, shown, write

#: A new handler may be unseen for so long (base/fault_guard.h), at most.
UNSEEN_S = 0.128
CUT = """
import glob, os, time
def cut(wanted="*.dsrun"):
    time.sleep(0.02)
    folder = os.environ.get("DATASTALL_RUN_DIR")
    if folder:
        for path in glob.glob(os.path.join(folder, wanted)):
            if not path.endswith("launcher.dsrun"):
                os.truncate(path, 0)
"""

LOOP = """
import random, signal, sys, time
import faulthandler
from torch.utils.data import DataLoader
from cutting import cut

SIGNALS = sys.argv[3]
UNSEEN_S = float(sys.argv[4])

def set_handlers(worker=None):
    if SIGNALS == "faulthandler":
        faulthandler.enable()
    elif SIGNALS == "own":
        signal.signal(signal.SIGBUS, lambda *_: print("caught"))
    time.sleep(UNSEEN_S)

class Data:
    def __len__(self):
        return 400
    def __getitem__(self, index):
        if index == 37:  # at some moment in a worker's or the loop's own fetch
            set_handlers()
        return index

if __name__ == "__main__":
    workers, context = int(sys.argv[1]), sys.argv[2]
    loader = DataLoader(
        Data(),
        batch_size=4,
        num_workers=workers,
        multiprocessing_context=context if workers else None,
        worker_init_fn=set_handlers,
    )
    moment = random.randrange(20, 70)
    total = 0
    # A worker that imports everything takes seconds for it.
    epochs = 2 if context in ("spawn", "forkserver") else 3
    for epoch in range(epochs):
        for number, batch in enumerate(loader):
            total += int(batch.sum())
            if number == 5:
                set_handlers()
            if epoch == epochs - 2 and number == moment:
                cut()
    print(total)
    sys.exit(5)
"""


@pytest.mark.parametrize("handlers", ["none", "faulthandler", "own"])
@pytest.mark.parametrize(
    ("workers", "context"), [(0, "none"), (2, "fork"), (1, "spawn"), (1, "forkserver")]
)
def test_a_file_that_is_cut_while_a_loop_runs(
    tmp_path: Path, workers: int, context: str, handlers: str
) -> None:
    write(tmp_path, "cutting.py", CUT)
    write(tmp_path, "prog.py", LOOP)
    words = (PYTHON, "prog.py", str(workers), context, handlers, str(UNSEEN_S))
    ended = datastall("run", *words, folder=tmp_path)
    epochs = 2 if context in ("spawn", "forkserver") else 3
    assert (ended.code, ended.out) == (5, f"{epochs * sum(range(400))}\n"), ended.err
    assert "cut short by somebody else" in ended.err, ended.err
    assert ended.err.count("cut short by somebody else") == 1, ended.err
    assert "Fatal Python error" not in ended.err


def test_a_fault_of_the_programs_own_ends_it_as_ever(tmp_path: Path) -> None:
    """With faulthandler, which prints and puts back what was there before."""
    write(
        tmp_path,
        "prog.py",
        """
        import faulthandler, mmap, os, sys
        from torch.utils.data import DataLoader

        def loop():
            return len(list(DataLoader(list(range(3000)))))

        loop()
        faulthandler.enable()
        print(loop(), flush=True)
        with open("own", "wb+") as file:
            file.truncate(8192)
            place = mmap.mmap(file.fileno(), 8192)
            file.truncate(0)
        place[5000]
        print("lives")
        """,
    )
    plain = command([PYTHON, "prog.py"], tmp_path)
    ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path)
    assert plain.code == -7 and "Fatal Python error: Bus error" in plain.err
    assert (ended.code, ended.out) == (128 + 7, plain.out)
    assert ended.err.count("Fatal Python error: Bus error") == 1


def test_loaders_that_are_no_dataloader_are_recorded(tmp_path: Path) -> None:
    """No word, and what is missing is unknown."""
    source = """
    class Fake(Foreign):
        @property
        def batch_size(self):
            raise SystemExit(3)

    print(list(_SingleProcessDataLoaderIter(Fake())))
    """
    write(tmp_path, "prog.py", FOREIGN_LOADER + source)
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == "[0, 1, 2, 3, 4]\n" and not ended.err.count("could not be")
    loader = only(shown(tmp_path)["loaders"])
    assert (loader["batches"], loader["iterators"], loader["batch_size"]) == (5, 1, None)
    assert (loader["num_workers"], loader["dataset_type"]) == (0, "Stream")


@pytest.mark.parametrize("workers", [0, 2])
def test_an_iterator_that_is_made_once_by_hand(tmp_path: Path, workers: int) -> None:
    """ultralytics: _get_iterator(), and never DataLoader.__iter__."""
    write(
        tmp_path,
        "prog.py",
        f"""
        from torch.utils.data import DataLoader

        class Once(DataLoader):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.iterator = self._get_iterator()
            def __iter__(self):
                for _ in range(len(self)):
                    yield next(self.iterator)

        print(len(list(Once(list(range(12)), batch_size=2, num_workers={workers}))))
        """,
    )
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == "6\n"
    loader = only(shown(tmp_path)["loaders"])
    assert (loader["batches"], loader["iterators"], loader["num_workers"]) == (6, 1, workers)
    # making it, the first batch, and the end of its workers
    assert loader["startup_ms"]["count"] == 2 + (workers > 0)
