# SPDX-License-Identifier: Apache-2.0
"""Every way of looping over a DataLoader: exact counts, and waits as the program measures them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support import (
    PYTHON,
    assert_steady_waits,
    assert_waits,
    bring,
    command,
    datastall,
    line_of,
    lines_of,
    only,
    recorded,
    shown,
    shown_text,
    write,
)


def run_loop(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Runs a loop of programs/loops.py; (what the program measured, what datastall shows)."""
    bring(folder, "loops.py", "timing.py")
    ended = recorded(folder, "loops.py", name)
    return ended.printed(), shown(folder)


def loader_at(shown_run: dict[str, Any], folder: Path, marker: str) -> dict[str, Any]:
    """The loader that loops.py makes for a marker; the file has one such line for each loop."""
    sites = lines_of(folder / "loops.py", f"loader: {marker}")
    return only([loader for loader in shown_run["loaders"] if loader["site"] in sites])


SIMPLE = {
    # loop: (batches, samples, iterators, steady batches)
    "workers0": (121, 241, 1, 120),
    "workers2": (121, 241, 1, 120),
    "pinned": (120, 240, 1, 119),
    "persistent": (120, 240, 3, 117),
    "epochs": (123, 243, 3, 120),
    "anew": (120, 240, 4, 116),
    "stream": (120, 240, 1, 119),
    "stream_workers": (120, 240, 1, 119),
    "early_break": (120, 240, 2, 118),
    "early_break_workers": (120, 240, 2, 118),
    "subclass": (110, 220, 1, 109),
    "nested": (110, 110, 1, 109),
    "nested_workers": (110, 110, 1, 109),
    "spawned_workers": (110, 220, 1, 109),
    "custom_collate": (110, 220, 1, 109),
}


#: Those that one process runs one after the other.
TOGETHER = [*SIMPLE, "zipped", "no_batching"]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Any]:
    """The folder of a run of all of TOGETHER, what they measured by name, what datastall shows."""
    folder = tmp_path_factory.mktemp("together")
    bring(folder, "loops.py", "timing.py")
    ended = recorded(folder, "loops.py", *TOGETHER)
    own = dict(zip(TOGETHER, map(json.loads, ended.out.splitlines()), strict=True))
    return folder, own, shown(folder)


def loader_in(function: str, marker: str, folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """The loader that is made on the marked line of a function of loops.py."""
    lines = (folder / "loops.py").read_text().splitlines()
    first = lines.index(f"def {function}() -> None:")
    marked = next(i for i in range(first, len(lines)) if lines[i].endswith(f"# loader: {marker}"))
    site = f"loops.py:{marked + 1}"
    return only([loader for loader in run["loaders"] if loader["site"] == site])


def test_each_loop_has_its_loader(together: tuple[Path, dict[str, Any], Any]) -> None:
    """And none has another's, or one that is not the program's own."""
    _, _, run = together
    assert len(run["loaders"]) == len(TOGETHER) + 1  # "zipped" has two
    process = only(run["processes"])
    assert process["state"] == run["run"]["state"] == "ended"
    assert process["method"] == "host-exact"
    assert not process["upper_bound"]
    assert process["lost_records"] == process["merged_other"] == 0


@pytest.mark.parametrize("name", SIMPLE)
def test_one_loader(together: tuple[Path, dict[str, Any], Any], name: str) -> None:
    folder, measured, run = together
    loader, own = loader_in(name, "main", folder, run), measured[name]
    batches, samples, iterators, steady = SIMPLE[name]
    assert_waits(loader, own["main"])
    assert (loader["batches"], loader["samples"]) == (batches, samples)
    assert (loader["iterators"], loader["wait_ms"]["count"]) == (iterators, steady)
    assert own["main"]["samples"] == samples
    assert loader["source"] == "torch"
    assert loader["in_verdict"]


def test_an_end_is_one_wait(tmp_path: Path) -> None:
    """torch ends an iterator's workers once more where it goes: no wait, however long it takes."""
    write(
        tmp_path,
        "program.py",
        """
        import torch
        from torch.utils.data import DataLoader
        import datastall._hooks
        datastall._hooks.ENDS_AT_ONCE_NS = 0  # as on a machine that is busy just then

        for batch in DataLoader(torch.ones(20, 2), batch_size=2, num_workers=1):
            pass
        for batch in DataLoader(
            torch.ones(20, 2), batch_size=2, num_workers=1, persistent_workers=True
        ):
            pass
        """,
    )
    recorded(tmp_path, "program.py")
    ended, kept = shown(tmp_path)["loaders"]
    # iter(), the first batch, the end; and where workers are kept, their end with the iterator.
    assert (ended["iterators"], ended["startup_ms"]["count"]) == (1, 3)
    assert (kept["iterators"], kept["startup_ms"]["count"]) == (1, 4)


def test_settings_are_told(together: tuple[Path, dict[str, Any], Any]) -> None:
    folder, _, run = together
    loader = loader_in("persistent", "main", folder, run)
    assert loader["dataset_type"] == "Slow"
    assert loader["num_workers"] == 2
    assert loader["prefetch_factor"] == 2
    assert loader["batch_size"] == 2
    assert loader["persistent_workers"] is True
    assert loader["pin_memory"] is False


def test_train_and_validation_are_told_apart(tmp_path: Path) -> None:
    own, run = run_loop(tmp_path, "train_and_validate")
    assert len(run["loaders"]) == 2
    for name, samples in (("train", 240), ("validation", 102)):
        loader = loader_at(run, tmp_path, name)
        assert_waits(loader, own[name])
        assert loader["samples"] == samples
        assert loader["iterators"] == 2
    text = shown_text(tmp_path)
    assert len(re.findall("^LOADER ", text, re.M)) == 2


def test_an_iterator_for_each_batch_has_only_startup(tmp_path: Path) -> None:
    own, run = run_loop(tmp_path, "one_by_one")
    loader = only(run["loaders"])
    assert_waits(loader, own["main"])
    assert loader["batches"] == loader["iterators"] == 25
    assert loader["wait_ms"]["count"] == 0
    assert loader["wait_ms"]["p50"] is None
    assert loader["startup_ms"]["count"] == 50
    assert "every batch came from a new iterator, so all waiting is start-up" in shown_text(
        tmp_path
    )
    assert run["verdict"]["input_stall_share"] > 0.5


def test_zipped_loaders(together: tuple[Path, dict[str, Any], Any]) -> None:
    folder, own, run = together
    for name in ("left", "right"):
        assert_waits(loader_in("zipped", name, folder, run), own["zipped"][name])


def test_a_thread_makes_an_upper_bound(tmp_path: Path) -> None:
    own, run = run_loop(tmp_path, "in_thread")
    loader = only(run["loaders"])
    assert_waits(loader, own["main"])
    assert loader["samples"] == 220
    assert run["verdict"]["upper_bound"] is True
    assert only(run["processes"])["upper_bound"] is True
    assert "at most" in shown_text(tmp_path)


def test_a_helper_function_called_from_two_lines(tmp_path: Path) -> None:
    own, run = run_loop(tmp_path, "helper_function")
    assert len(run["loaders"]) == 2
    one, other = sorted(run["loaders"], key=lambda loader: -loader["batches"])
    assert_waits(one, own["one"])
    assert_waits(other, own["other"])
    assert (one["batches"], other["batches"]) == (110, 105)
    assert one["name"] != other["name"]
    assert len(re.findall("^LOADER ", shown_text(tmp_path), re.M)) == 2


def test_without_batching_the_samples_are_unknown(
    together: tuple[Path, dict[str, Any], Any],
) -> None:
    folder, own, run = together
    loader = loader_in("no_batching", "main", folder, run)
    assert_waits(loader, own["no_batching"]["main"])
    assert loader["batches"] == 120
    assert loader["samples"] is None  # an item that is a number has no size
    assert loader["batch_size"] is None


def test_the_loader_may_be_anywhere_in_a_package(tmp_path: Path) -> None:
    bring(tmp_path, "timing.py")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    module = write(
        tmp_path,
        "pkg/mod.py",
        """
        from torch.utils.data import DataLoader
        from timing import Clock, Slow, report

        clock = Clock()
        clock.exhaust(DataLoader(Slow(220), batch_size=2))  # loader
        report(main=clock)
        """,
    )
    ended = recorded(tmp_path, "-m", "pkg.mod")
    loader = only(shown(tmp_path)["loaders"])
    assert_waits(loader, ended.printed()["main"])
    assert loader["site"] == line_of(module, "loader")


WATCHED = """
import json, time
import datastall
from timing import delay_s

class Timed:
    def __init__(self):
        self.within = []
    def __iter__(self):
        return self
    def __next__(self):
        begin = time.perf_counter_ns()
        if len(self.within) == 60:
            raise StopIteration
        time.sleep(delay_s(len(self.within)))
        self.within.append(time.perf_counter_ns() - begin)
        return self.within[-1:]

data = Timed()
watched = iter(datastall.watch(data))
outside = []
while True:
    begin = time.perf_counter_ns()
    if next(watched, None) is None:
        break
    outside.append(time.perf_counter_ns() - begin)
print(json.dumps(list(zip(data.within, outside))))
"""


def test_nothing_but_the_hook_between_the_clocks(tmp_path: Path) -> None:
    """Around a DataLoader torch is between the two clocks; here they are as near as can be."""
    bring(tmp_path, "timing.py")
    write(tmp_path, "prog.py", WATCHED)
    pairs = recorded(tmp_path, "prog.py").printed()
    loader = only(shown(tmp_path)["loaders"])
    assert_steady_waits(loader, pairs[1:])
    assert loader["startup_ms"]["count"] == 3
    assert loader["startup_ms"]["sum"] * 1e6 >= pairs[0][0] - 1


FAILING = """
import sys
from torch.utils.data import DataLoader

class Failing:
    def __len__(self):
        return 20
    def __getitem__(self, index):
        if index == 7:
            raise ValueError("item 7 is broken")
        return index

def main():
    for batch in DataLoader(Failing(), batch_size=1, num_workers=int(sys.argv[1])):
        print(batch.tolist())

main()
"""


# One worker: with more, the line of torch that raises depends on whose batch came first.
@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_error_in_the_dataset_is_the_programs_own(tmp_path: Path, workers: str) -> None:
    write(tmp_path, "prog.py", FAILING)
    plain = command([PYTHON, "prog.py", workers], tmp_path)
    ended = datastall("run", "--quiet", PYTHON, "prog.py", workers, folder=tmp_path)
    assert plain.code == ended.code == 1
    assert "item 7 is broken" in plain.err
    assert ended.out == plain.out
    assert without_numbers(ended.err) == without_numbers(plain.err)
    loader = only(shown(tmp_path)["loaders"])
    assert loader["failed_ms"]["count"] == 1
    assert loader["batches"] == loader["samples"] == 7
    assert "1 call raised an error" in shown_text(tmp_path)
    assert shown(tmp_path)["run"]["exit_status"] == 1


def without_numbers(text: str) -> str:
    """Without what differs from process to process."""
    return re.sub(r"0x[0-9a-f]+|pid\(?s?\)? [\d, ]+|\[W[^\]]*\]", "N", text)


def test_an_error_that_the_program_catches(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        from torch.utils.data import DataLoader, Dataset

        class Failing(Dataset):
            def __len__(self):
                return 9
            def __getitem__(self, index):
                if index % 3 == 2:
                    raise KeyError(index)
                return index

        iterator = iter(DataLoader(Failing(), batch_size=1))
        seen = []
        while True:
            try:
                seen.append(int(next(iterator)))
            except KeyError as error:
                assert error.__traceback__.tb_next.tb_frame.f_code.co_name == "__next__"
            except StopIteration:
                break
        print(seen)
        """,
    )
    assert recorded(tmp_path, "prog.py").out == "[0, 1, 3, 4, 6, 7]\n"
    loader = only(shown(tmp_path)["loaders"])
    assert loader["failed_ms"]["count"] == 3
    assert loader["batches"] == 6


TRAINING = """
import torch
from torch.utils.data import DataLoader, Dataset

class Points(Dataset):
    def __init__(self):
        generator = torch.Generator().manual_seed(7)
        self.x = torch.randn(96, 8, generator=generator)
        self.y = self.x.sum(dim=1, keepdim=True) + torch.randn(96, 1, generator=generator)
    def __len__(self):
        return 96
    def __getitem__(self, index):
        # The workers' random numbers are part of the result.
        return index, self.x[index] + 0.01 * torch.randn(8), self.y[index]

torch.manual_seed(3)
torch.set_num_threads(1)
model = torch.nn.Linear(8, 1)
optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
for workers in (0, 2):
    loader = DataLoader(Points(), batch_size=8, shuffle=True, num_workers=workers)
    for epoch in range(2):
        for index, x, y in loader:
            loss = torch.nn.functional.mse_loss(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            print(epoch, index.tolist(), repr(loss.item()))
print(torch.rand(3).tolist(), torch.initial_seed())
"""


def test_a_seeded_training_has_the_same_results(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", TRAINING)
    plain = command([PYTHON, "prog.py"], tmp_path)
    ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path)
    assert plain.code == ended.code == 0
    assert len(plain.out.splitlines()) == 2 * 2 * 12 + 1
    assert ended.out == plain.out
    assert ended.err == plain.err
    assert [loader["samples"] for loader in shown(tmp_path)["loaders"]] == [192, 192]


def test_the_classes_look_as_before(tmp_path: Path) -> None:
    """Signatures, documentation, pickles and copies of a DataLoader."""
    write(
        tmp_path,
        "prog.py",
        """
        import copy, inspect, pickle
        import torch.utils.data.dataloader as module

        DataLoader, Base = module.DataLoader, module._BaseDataLoaderIter
        for method in (DataLoader.__init__, DataLoader.__iter__, Base.__init__, Base.__next__):
            print(method.__name__, method.__qualname__, method.__module__)
            print(inspect.signature(method), method.__doc__, method.__annotations__)
            print(inspect.getsource(method))
        print(inspect.signature(DataLoader))
        print(sorted(vars(DataLoader)), sorted(vars(Base)))
        print(module.__spec__.loader, module.__loader__, module.__file__)
        data = DataLoader(list(range(10)), batch_size=5)
        pickled = pickle.loads(pickle.dumps(data))
        for loader in (data, copy.copy(data), copy.deepcopy(data), pickled):
            print([batch.tolist() for batch in loader], loader)
        print(iter(data).__next__().tolist(), Base.__next__(iter(data)).tolist())
        """,
    )
    plain = command([PYTHON, "prog.py"], tmp_path)
    ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path)
    assert plain.code == ended.code == 0, ended.err
    assert without_numbers(ended.out) == without_numbers(plain.out)
    assert ended.err == plain.err
    assert sum(loader["batches"] for loader in shown(tmp_path)["loaders"]) == 4 * 2 + 2


PARENT = """
import json, multiprocessing, os, subprocess, sys
from torch.utils.data import DataLoader

def loop(length):
    return sum(len(batch) for batch in DataLoader(list(range(length)), batch_size=2))

if __name__ == "__main__":
    pids = {}
    assert loop(10) == 10
    pids[os.getpid()] = 5
    for method, length in (("fork", 20), ("spawn", 40)):
        child = multiprocessing.get_context(method).Process(target=loop, args=(length,))
        child.start()
        child.join()
        assert child.exitcode == 0
        pids[child.pid] = length // 2
    code = "import os, prog; print(os.getpid()); assert prog.loop(80) == 80"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    pids[int(child.stdout)] = 40
    print(json.dumps(pids))
"""


def test_children_record_by_themselves(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", PARENT)
    ended = recorded(tmp_path, "prog.py")
    run = shown(tmp_path)
    expected = {int(pid): batches for pid, batches in ended.printed().items()}
    assert len(expected) == 4
    assert {loader["pid"]: loader["batches"] for loader in run["loaders"]} == expected
    assert {process["pid"] for process in run["processes"]} == set(expected)
    assert {process["state"] for process in run["processes"]} == {"ended"}
    assert len(re.findall("^LOADER ", shown_text(tmp_path), re.M)) == 4


def test_torchrun_ranks(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import os
        from torch.utils.data import DataLoader

        length = 20 * (1 + int(os.environ["RANK"]))
        assert sum(len(batch) for batch in DataLoader(list(range(length)), batch_size=2)) == length
        """,
    )
    arguments = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "prog.py")
    ended = recorded(tmp_path, "-m", *arguments)
    run = shown(tmp_path)
    assert [process["rank"] for process in run["processes"]] == [0, 1]
    assert [process["local_rank"] for process in run["processes"]] == [0, 1]
    assert [process["world_size"] for process in run["processes"]] == [2, 2]
    assert {loader["rank"]: loader["batches"] for loader in run["loaders"]} == {0: 10, 1: 20}
    text = shown_text(tmp_path)
    assert "[rank 0]" in text
    assert "[rank 1]" in text
    assert re.search(r"^RANKS .*rank 0: .*rank 1: ", text, re.M)
    assert re.search(r"^LOADER .*, (2 ranks|rank [01] of 2): ", ended.err, re.M)


def test_the_json_is_one_document(tmp_path: Path) -> None:
    """stdout holds JSON and nothing else, also with a check."""
    bring(tmp_path, "loops.py", "timing.py")
    recorded(tmp_path, "loops.py", "one_by_one", options=["--name", "my run"])
    ended = datastall("show", "--json", "--check", "stall>1", folder=tmp_path)
    assert ended.code == 0
    document = json.loads(ended.out)
    assert document["run"]["name"] == "my run"
    assert document["run"]["command"].endswith("loops.py one_by_one")
