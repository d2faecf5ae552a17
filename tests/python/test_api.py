# SPDX-License-Identifier: Apache-2.0
"""import datastall: install(), watch(), stage(), summary(), without the launcher."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support import (
    PYTHON,
    Ended,
    command,
    line_of,
    only,
    recorded,
    run_folders,
    shown,
    shown_text,
    write,
)


def run_plainly(folder: Path, source: str, extra: dict[str, str] | None = None) -> Ended:
    write(folder, "prog.py", source)
    ended = command([PYTHON, "prog.py"], folder, extra)
    assert ended.code == 0, ended.err
    return ended


# ---- install and summary ----


@pytest.mark.whole_start
@pytest.mark.parametrize("order", ["before", "after"])
def test_install(tmp_path: Path, order: str) -> None:
    """In a plain script, before or after torch is imported."""
    first, second = (
        "import datastall; datastall.install()",
        "from torch.utils.data import DataLoader",
    )
    if order == "after":
        first, second = second, first
    ended = run_plainly(
        tmp_path,
        f"""
        {first}
        {second}
        import json, os
        datastall.install()  # a second time is nothing
        assert datastall.summary() == {{}}
        assert not os.path.exists("datastall-runs")
        loader = DataLoader(list(range(20)), batch_size=4)
        assert datastall.summary() == {{}}
        seen = []
        for batch in loader:
            summary = datastall.summary()
            figures = summary["loaders"][0]
            assert summary["run"]["state"] == "running"
            assert figures["records_ahead"] == 0
            seen.append((figures["batches"], figures["samples"]))
        print(json.dumps(seen))
        """,
    )
    assert ended.printed() == [[n, 4 * n] for n in range(1, 6)]
    run = shown(tmp_path)
    loader = only(run["loaders"])
    assert (loader["batches"], loader["samples"], loader["source"]) == (5, 20, "torch")
    assert run["run"]["state"] == "ended"
    assert run["run"]["command"].endswith("prog.py")
    assert len(run_folders(tmp_path)) == 1


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["prog.py"], "prog.py"),
        (["./inner/__main__.py"], "inner"),
        (["-m", "inner"], "inner"),
        (["-c", "import datastall; list(datastall.watch(range(9), name='train'))"], "python"),
    ],
)
def test_a_run_is_named_after_its_script(tmp_path: Path, words: list[str], name: str) -> None:
    source = "import datastall\nfor _ in datastall.watch(range(9), name='train'): pass"
    write(tmp_path, "prog.py", source)
    write(tmp_path, "inner/__main__.py", source)
    ended = command([PYTHON, *words], tmp_path)
    assert ended.code == 0, ended.err
    (folder,) = run_folders(tmp_path)
    assert folder.name.split("-", 2)[2].startswith(name)


def test_install_says_where(tmp_path: Path) -> None:
    run_plainly(
        tmp_path,
        """
        import pathlib
        import datastall
        datastall.install(pathlib.Path("here"), name="mine")
        list(datastall.watch([1, 2]))
        """,
    )
    assert only(list((tmp_path / "here").iterdir())).name.endswith("-mine")
    assert shown(tmp_path, "--dir", "here")["run"]["name"] == "mine"


def test_summary_is_what_show_prints(tmp_path: Path) -> None:
    """The same document, but for what goes on after it."""
    write(
        tmp_path,
        "prog.py",
        """
        import json
        import datastall
        with datastall.stage("first"):
            list(datastall.watch([1, 2, 3]))
        print(json.dumps(datastall.summary()))
        """,
    )
    own, run = recorded(tmp_path, "prog.py").printed(), shown(tmp_path)

    for changing in (own, run):
        for loader in changing["loaders"]:
            assert loader["why"].pop("host")["cpus_usable"] > 0  # the rest goes on to change
    assert_alike(own["loaders"], run["loaders"])
    assert_alike(own["stages"], run["stages"])
    for changing in (own, run):
        changing["run"]["exit_status"] = changing["run"]["duration_s"] = None
        changing["run"]["path"] = str(tmp_path / changing["run"]["path"])  # relative for show
        changing["run"]["state"] = changing["run"]["launcher"] = None
        changing["processes"][0]["state"] = changing["processes"][0]["life_s"] = None
        changing["gpus"] = changing["gpu_sampling"] = changing["stages"] = None
    assert_alike(own, run)


def assert_alike(one: Any, other: Any) -> None:
    """Equal, keys in the same order, numbers to the digits that JSON keeps."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key, value in one.items():
            assert_alike(value, other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for value, other_value in zip(one, other, strict=True):
            assert_alike(value, other_value)
    elif isinstance(one, float):
        assert other == pytest.approx(one, rel=1e-12)
    else:
        assert one == other


def test_summary_of_a_folder_that_is_gone(tmp_path: Path) -> None:
    run_plainly(
        tmp_path,
        """
        import shutil
        import datastall
        for item in datastall.watch([1, 2, 3]):
            shutil.rmtree("datastall-runs", ignore_errors=True)
            try:
                datastall.summary()
            except OSError as error:
                assert "datastall-runs" in str(error)
            else:
                raise AssertionError("it said nothing")
        """,
    )


def test_install_under_the_launcher_changes_nothing(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import datastall
        datastall.install("elsewhere", name="other")
        from torch.utils.data import DataLoader
        datastall.install()
        print(sum(len(batch) for batch in DataLoader(list(range(20)), batch_size=4)))
        """,
    )
    assert recorded(tmp_path, "prog.py").out == "20\n"
    assert not (tmp_path / "elsewhere").exists()
    assert only(shown(tmp_path)["loaders"])["batches"] == 5


def test_an_iterator_older_than_the_hooks(tmp_path: Path) -> None:
    run_plainly(
        tmp_path,
        """
        from torch.utils.data import DataLoader
        iterator = iter(DataLoader(list(range(20)), batch_size=4))
        next(iterator)
        import datastall
        datastall.install()
        assert len(list(iterator)) == 4
        """,
    )
    assert only(shown(tmp_path)["loaders"])["batches"] == 4


# ---- watch ----


def test_watch_around_anything(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import datastall

        def numbers():
            received = []
            for number in range(4):
                received.append((yield number))
            print(received)

        generator = numbers()
        assert list(datastall.watch(generator, name="generator")) == [0, 1, 2, 3]
        watched = datastall.watch([5, 6, 7], name="list")
        assert len(watched) == 3 and watched.index(6) == 1
        assert list(watched) == list(watched) == [5, 6, 7]
        assert dict(datastall.watch({"a": 1}.items(), name="items")) == {"a": 1}
        assert "".join(datastall.watch("abc")) == "abc"  # the line
        assert list(datastall.watch([], name="empty")) == []

        class Failing:
            def __iter__(self):
                raise KeyError("no iterator")
        for wrong, error in ((Failing(), KeyError), (5, TypeError)):
            try:
                iter(datastall.watch(wrong, name="wrong"))
            except error:
                continue
            raise AssertionError("it raised nothing")

        closing = iter(datastall.watch(numbers(), name="closing"))
        next(closing)
        assert closing.send("sent") == 1
        closing.close()
        assert next(closing, None) is None

        def failing():
            yield 1
            raise ValueError("on purpose")
        try:
            list(datastall.watch(failing(), name="failing"))
        except ValueError as error:
            assert error.__traceback__.tb_next.tb_frame.f_code.co_name == "failing"
        print("done")
        """,
    )
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == "[None, None, None, None]\ndone\n"
    loaders = {loader["name"]: loader for loader in shown(tmp_path)["loaders"]}
    expected = {"generator": 4, "list": 6, "items": 1, "empty": 0, "closing": 1, "failing": 1}
    assert {name: loaders[name]["batches"] for name in expected} == expected
    assert loaders["list"]["iterators"] == 2
    assert loaders["list"]["wait_ms"]["count"] == 4
    assert loaders["generator"]["dataset_type"] == "generator"
    assert loaders["failing"]["failed_ms"]["count"] == 1
    assert {loader["source"] for loader in loaders.values()} == {"watch"}
    unnamed = only([loader for name, loader in loaders.items() if name.startswith("prog.py:")])
    assert unnamed["batches"] == 3


def test_watch_around_a_hooked_loader_only_names_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import datastall
        from torch.utils.data import DataLoader
        loader = DataLoader(list(range(20)), batch_size=4)  # loader
        watched = datastall.watch(loader, name="mine", measure=lambda batch: 10)
        assert len(watched) == 5 and watched.batch_size == 4 and watched.dataset[3] == 3
        for _ in range(2):
            for batch in watched:
                pass
        """,
    )
    recorded(tmp_path, "prog.py")
    loader = only(shown(tmp_path)["loaders"])
    assert (loader["name"], loader["source"]) == ("mine", "torch")
    assert (loader["batches"], loader["samples"], loader["iterators"]) == (10, 100, 2)
    assert loader["site"] == line_of(tmp_path / "prog.py", "loader")


def test_watch_of_a_loader_that_is_not_hooked(tmp_path: Path) -> None:
    run_plainly(
        tmp_path,
        """
        import datastall
        from torch.utils.data import DataLoader
        loader = DataLoader(list(range(20)), batch_size=4)
        for batch in datastall.watch(loader):
            pass
        """,
    )
    loader = only(shown(tmp_path)["loaders"])
    assert (loader["source"], loader["batches"], loader["samples"]) == ("watch", 5, 20)


def test_watch_inside_watch_counts_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import datastall
        inner = datastall.watch(range(10), name="inner")
        outer = datastall.watch((item for item in inner), name="outer")
        assert sum(outer) == 45
        """,
    )
    recorded(tmp_path, "prog.py")
    loaders = {loader["name"]: loader["batches"] for loader in shown(tmp_path)["loaders"]}
    assert loaders["outer"] == 10
    assert loaders.get("inner", 0) == 0


def test_without_torch(tmp_path: Path) -> None:
    run_plainly(
        tmp_path,
        """
        import sys
        sys.modules["torch"] = None  # as where it is not installed
        import datastall
        datastall.install()
        batches = [{"x": [1, 2, 3]}, [4, 5]]
        assert list(datastall.watch(batches, name="list")) == batches
        assert datastall.summary()["loaders"][0]["batches"] == 2
        try:
            import torch
        except ImportError:
            print("no torch")
        """,
    )
    loader = only(shown(tmp_path)["loaders"])
    assert (loader["batches"], loader["samples"]) == (2, 5)


@pytest.mark.whole_start
def test_importing_is_light(tmp_path: Path) -> None:
    """No torch, no numpy, no folder."""
    source = "import datastall, sys; print({'torch', 'numpy'} & set(sys.modules) or 'light')"
    ended = run_plainly(tmp_path, source)
    assert ended.out == "light\n"
    assert run_folders(tmp_path) == []


# ---- stages ----


def test_stages(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import time
        import datastall

        def slow(count):
            return (time.sleep(5e-3) for _ in range(count))

        @datastall.stage("decorated")
        def work():
            list(datastall.watch(slow(4), name="data", measure=lambda item: 2))

        list(datastall.watch(slow(1), name="data"))
        with datastall.stage("outer"):
            list(datastall.watch(slow(2), name="data", measure=lambda item: 2))
            with datastall.stage("inner"):
                list(datastall.watch(slow(3), name="data", measure=lambda item: 2))
                time.sleep(0.2)
            list(datastall.watch(slow(5), name="data", measure=lambda item: 2))
            work()
        work()
        try:
            with datastall.stage("failing"):
                raise KeyError
        except KeyError:
            pass
        list(datastall.watch(slow(1), name="data"))
        with datastall.stage("naming"):
            list(datastall.watch(slow(6)))
        """,
    )
    recorded(tmp_path, "prog.py")
    run = shown(tmp_path)
    stages = {stage["name"]: stage for stage in run["stages"]}
    batches = {"outer": 7, "inner": 3, "decorated": 8, "failing": 0, "naming": 6}
    assert {name: stage["batches"] for name, stage in stages.items()} == batches
    assert stages["outer"]["samples"] == 14
    assert stages["decorated"]["samples"] == 16
    entries = {"outer": 3, "inner": 1, "decorated": 2, "failing": 1, "naming": 1}
    assert {name: stage["entries"] for name, stage in stages.items()} == entries
    for name, count in batches.items():
        assert stages[name]["waiting_s"] >= count * 5e-3
        assert stages[name]["duration_s"] >= stages[name]["waiting_s"]
    assert stages["inner"]["duration_s"] >= 0.215
    assert stages["inner"]["waiting_s"] <= stages["inner"]["duration_s"] - 0.2  # which it slept
    # A loader without a name has the stage's.
    assert {loader["name"]: loader["batches"] for loader in run["loaders"]} == {
        "data": 20,
        "naming": 6,
    }
    text = shown_text(tmp_path)
    assert re.search(r"^STAGE +inner: .* 3 batches", text, re.M)


def test_many_stages_share_the_last(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import datastall
        for number in range(70):
            with datastall.stage(f"stage {number} " + "x" * 100):
                list(datastall.watch([1, 2], name="list"))
        """,
    )
    recorded(tmp_path, "prog.py")
    run = shown(tmp_path)
    assert len(run["stages"]) == 65
    assert sum(stage["batches"] for stage in run["stages"]) == 140
    other = only([stage for stage in run["stages"] if stage["name"] == "other"])
    assert other["batches"] == 12
    assert max(len(stage["name"]) for stage in run["stages"]) == 63
    assert only(run["processes"])["merged_other"] > 0


def test_many_loaders_share_the_last(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import datastall
        for number in range(40):
            list(datastall.watch([1, 2], name=f"loader {number}"))
        """,
    )
    recorded(tmp_path, "prog.py")
    run = shown(tmp_path)
    assert len(run["loaders"]) <= 33
    assert sum(loader["batches"] for loader in run["loaders"]) == 80
    assert only([loader for loader in run["loaders"] if loader["name"] == "other"])
    assert "NOTE" in shown_text(tmp_path)


# ---- threads and processes ----


def test_four_threads(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import threading
        import datastall

        def loop():
            barrier.wait()
            for item in datastall.watch(range(5000), name="shared", measure=lambda item: 3):
                pass
            barrier.wait()  # an ended thread's place may be taken over

        barrier = threading.Barrier(4)
        threads = [threading.Thread(target=loop) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """,
    )
    recorded(tmp_path, "prog.py")
    run = shown(tmp_path)
    loader = only(run["loaders"])
    assert loader["batches"] == 20000
    assert loader["samples"] == 60000
    assert loader["iterators"] == loader["threads"] == 4
    assert loader["wait_ms"]["count"] == 20000 - 4
    assert only(run["processes"])["lost_records"] == 0
    assert run["verdict"]["upper_bound"] is True


def test_a_thread_for_each_epoch(tmp_path: Path) -> None:
    """Slots of ended threads are taken over: any number of them is counted exactly."""
    write(
        tmp_path,
        "prog.py",
        """
        import threading
        import datastall

        def loop():
            list(datastall.watch(range(10), name="list"))

        for _ in range(100):
            thread = threading.Thread(target=loop)
            thread.start()
            thread.join()
        """,
    )
    recorded(tmp_path, "prog.py")
    run = shown(tmp_path)
    loader = only(run["loaders"])
    assert (loader["name"], loader["batches"], loader["iterators"]) == ("list", 1000, 100)
    assert only(run["processes"])["merged_other"] == 0


@pytest.mark.parametrize("launcher", [False, True])
def test_a_forked_child_has_a_file_of_its_own(tmp_path: Path, launcher: bool) -> None:
    """In the middle of a loop: the child goes on with the iterator that it inherited."""
    source = """
        import os, sys
        import datastall
        datastall.install()
        from torch.utils.data import DataLoader

        child = None
        for number, batch in enumerate(DataLoader(list(range(20)), batch_size=2)):
            if number == 3:
                child = os.fork()
                if child == 0:
                    list(datastall.watch(range(7), name="in child"))
        if child == 0:
            sys.exit(0)  # past atexit, as a program does
        assert os.waitpid(child, 0)[1] == 0
        print(child)
        """
    if launcher:
        write(tmp_path, "prog.py", source)
        ended = recorded(tmp_path, "prog.py")
    else:
        ended = run_plainly(tmp_path, source)
    child = int(ended.out.splitlines()[-1])
    run = shown(tmp_path)
    assert len(run_folders(tmp_path)) == 1
    assert len(run["processes"]) == 2
    in_child = only([loader for loader in run["loaders"] if loader["name"] == "in child"])
    assert (in_child["pid"], in_child["batches"]) == (child, 7)
    in_parent = [loader for loader in run["loaders"] if loader["pid"] != child]
    assert only(in_parent)["batches"] == 10
    assert {process["state"] for process in run["processes"]} == {"ended"}


def test_threads_while_forking(tmp_path: Path) -> None:
    """Children of a program with busy threads end; nothing deadlocks, the parent loses nothing."""
    write(
        tmp_path,
        "prog.py",
        """
        import os, threading
        import datastall

        def loop():
            for _ in range(40):
                list(datastall.watch(range(200), name="busy"))

        threads = [threading.Thread(target=loop) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(10):
            child = os.fork()
            if child == 0:
                list(datastall.watch(range(5), name=f"child"))
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        for thread in threads:
            thread.join()
        """,
    )
    recorded(tmp_path, "prog.py")
    loaders = shown(tmp_path)["loaders"]
    assert sum(loader["batches"] for loader in loaders if loader["name"] == "busy") == 24000
    assert [loader["batches"] for loader in loaders if loader["name"] == "child"] == [5] * 10


@pytest.mark.parametrize("launcher", [False, True])
def test_forking_while_another_thread_opens_the_recording(tmp_path: Path, launcher: bool) -> None:
    """The child must not wait for a lock that a thread of its parent holds."""
    source = """
        import glob, os, signal, threading
        import datastall

        thread = threading.Thread(target=lambda: list(datastall.watch(range(3), name="parent")))
        thread.start()
        folder = os.environ.get("DATASTALL_RUN_DIR")
        # The folder is there before the file in it is made, the file before it has its size.
        while not glob.glob(f"{folder}/[0-9]*.dsrun" if folder else "datastall-runs/*"):
            pass
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            list(datastall.watch(range(5), name="child"))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        thread.join()
        """
    if launcher:
        write(tmp_path, "prog.py", source)
        recorded(tmp_path, "prog.py")
    else:
        run_plainly(tmp_path, source)
    assert len(run_folders(tmp_path)) == 1
    loaders = {loader["name"]: loader["batches"] for loader in shown(tmp_path)["loaders"]}
    assert loaders == {"parent": 3, "child": 5}


def test_a_batch_with_hostile_attributes(tmp_path: Path) -> None:
    """What a batch raises when it is looked at does not reach the program (signals do: see
    test_manners.py)."""
    write(
        tmp_path,
        "prog.py",
        """
        import datastall

        class Hostile:
            def __getattr__(self, name):
                raise RuntimeError(name)
            def __len__(self):
                raise RuntimeError("length")
            def __getitem__(self, key):
                raise RuntimeError("item")
            def keys(self):
                raise RuntimeError("keys")

        batches = [Hostile(), [Hostile()], (Hostile(),), {"input_ids": Hostile()}]
        assert list(datastall.watch(batches)) == batches
        print("done")
        """,
    )
    assert recorded(tmp_path, "prog.py").out == "done\n"
    assert only(shown(tmp_path)["loaders"])["batches"] == 4


def test_what_cannot_be_is_unknown_and_said_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        "wild.py",
        """
        import datastall

        wild = {"samples": 2**62, "tokens": 3}
        for _ in datastall.watch(range(5), name="stream", measure=lambda batch: wild):
            pass
        """,
    )
    ended = recorded(tmp_path, "wild.py")
    assert len([line for line in ended.said if "5 figures of batches" in line]) == 1
    run = shown(tmp_path)
    process, loader = only(run["processes"]), only(run["loaders"])
    assert process["impossible_counts"] == 5
    assert process["impossible_times"] == process["unknown_arguments"] == 0
    assert (loader["batches"], loader["samples"], loader["tokens"]) == (5, None, 15)
    assert "5 figures of batches" in shown_text(tmp_path)
