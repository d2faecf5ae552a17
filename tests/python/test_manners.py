# SPDX-License-Identifier: Apache-2.0
"""What a guest in somebody's process must not do.

Swallow its signals, raise into it, change what its iterators and mappings do, claim what it cannot
know.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import PYTHON, command, line_of, only, recorded, shown, shown_text, write

Fake = Callable[..., dict[str, str]]


def run(folder: Path, source: str, code: int = 0, extra: dict[str, str] | None = None) -> str:
    write(folder, "prog.py", source)
    ended = command([PYTHON, "prog.py"], folder, extra)
    assert ended.code == code, ended.err
    return ended.out + ended.err


def test_ctrl_c_inside_measure_ends_the_loop(tmp_path: Path) -> None:
    out = run(
        tmp_path,
        """
        import os, signal
        import datastall

        def measure(batch):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass
            return 1

        seen = []
        try:
            for batch in datastall.watch([1, 2, 3], measure=measure):
                seen.append(batch)
            print("swallowed")
        except KeyboardInterrupt:
            print("interrupted", seen)
        """,
    )
    assert out.startswith("interrupted []")


def test_system_exit_from_a_signal_handler_inside_measure(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        import os, signal, sys
        import datastall

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))

        def measure(batch):
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(1000):
                pass
            return 1

        for batch in datastall.watch([1, 2], measure=measure):
            pass
        """,
        code=7,
    )


def test_ctrl_c_while_a_loader_is_made(tmp_path: Path) -> None:
    """The hook of DataLoader.__init__ looks at `self` in the frames: user code may run there."""
    out = run(
        tmp_path,
        """
        import os, signal
        import datastall
        datastall.install()
        from torch.utils.data import DataLoader
        import datastall._hooks as hooks

        def describe(*arguments):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass
            return ("", "", "")

        hooks.describe_site = describe
        try:
            DataLoader([1, 2, 3])
            print("swallowed")
        except KeyboardInterrupt:
            print("interrupted")
        """,
    )
    assert out.startswith("interrupted")


def test_names_that_cannot_be_encoded(tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    out = run(
        folder,
        r"""
        import datastall
        seen = [b for b in datastall.watch([1, 2])]
        seen += [b for b in datastall.watch([3], name="a\0b")]
        with datastall.stage("a\udcff"):
            seen += [b for b in datastall.watch([4], name="\ud800")]
        print(seen, len(datastall.summary()["loaders"]))
        """,
    )
    assert out.splitlines()[0] == "[1, 2, 3, 4] 3"


def test_a_failing_recording_is_said_once(tmp_path: Path) -> None:
    out = run(
        tmp_path,
        """
        import datastall
        datastall.install()
        from torch.utils.data import DataLoader
        import datastall._hooks as hooks

        def fail(loader):
            raise OSError("no more")

        hooks._register = fail
        loader = DataLoader([1, 2, 3])
        for _ in range(5):
            next(iter(loader))
        """,
    )
    assert out.count("datastall:") == 1


def test_what_a_generator_returns_passes(tmp_path: Path) -> None:
    out = run(
        tmp_path,
        """
        import datastall

        def inner():
            got = yield 1
            return 42

        def outer():
            value = yield from datastall.watch(inner())
            yield value

        print(list(outer()), bool(datastall.watch([])), bool(datastall.watch(inner())))
        it = iter(datastall.watch(inner()))
        next(it)
        it.close()
        print(list(it))
        """,
    )
    assert out.splitlines() == ["[1, 42] False True", "[]"]


def test_mappings_are_only_looked_at(tmp_path: Path) -> None:
    out = run(
        tmp_path,
        """
        import collections
        import datastall

        class Makes(collections.UserDict):
            def __missing__(self, key):
                self[key] = "made"
                return "made"

        class Lazy(collections.abc.Mapping):
            loaded = []
            def __len__(self): return 2
            def __iter__(self): return iter(("a", "b"))
            def __getitem__(self, key):
                if key not in ("a", "b"):
                    raise KeyError(key)
                self.loaded.append(key)
                return [1, 2, 3]
            def __contains__(self, key): return key in ("a", "b")

        for batch in datastall.watch([Makes(x=[1, 2])]):
            print(sorted(batch))
        for batch in datastall.watch([Lazy()]):
            print(batch.loaded)
        """,
    )
    assert out.splitlines() == ["['x']", "[]"]


def test_a_failing_measure_is_said(tmp_path: Path) -> None:
    out = run(
        tmp_path,
        """
        import datastall
        for _ in range(2):
            for batch in datastall.watch([1, 2], name="x", measure=lambda b: 1 / 0):
                pass
        loader = datastall.summary()["loaders"][0]
        print(loader["batches"], loader["samples"])
        """,
    )
    said = [line for line in out.splitlines() if line.startswith("datastall:")]
    assert "ZeroDivisionError" in only(said)
    assert "4 None" in out


@pytest.fixture
def device_file() -> Iterator[str]:
    """A file whose name is that of a GPU."""
    path = Path(f"/dev/nvidia-of-test-{os.getpid()}")
    try:
        path.touch()
    except OSError:
        pytest.skip("no file can be made in /dev")
    yield str(path)
    path.unlink()


@pytest.mark.parametrize("entered", [True, False])
def test_a_driver_of_others_makes_it_at_most(
    tmp_path: Path, fake_nvml: Fake, device_file: str, entered: bool
) -> None:
    """JAX and the like use the GPU without torch: their waits may be hidden as well. One that is
    loaded and not entered, as by PyTorch where only data is read, has no device open."""
    source = tmp_path / "cuda.c"
    source.write_text("int cuda_stands_in;\n")
    library = tmp_path / "libcuda.so.1"
    built = ["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", str(source), "-o", str(library)]
    assert command(built, tmp_path).code == 0
    write(
        tmp_path,
        "prog.py",
        """
        import ctypes, sys, time
        import datastall
        ctypes.CDLL("./libcuda.so.1", mode=ctypes.RTLD_GLOBAL)
        devices = [open(path) for path in sys.argv[1:]]
        for _ in datastall.watch(time.sleep(0.005) for _ in range(100)):
            method = datastall.summary()["verdict"]["method"]
        print(method)
        """,
    )
    extra = fake_nvml("devices 1", "utilization 0 95")
    meanwhile = recorded(tmp_path, "prog.py", *([device_file] if entered else []), extra=extra)
    assert meanwhile.out == "host-bound\n"  # it may yet be entered
    verdict = shown(tmp_path)["verdict"]
    assert verdict["method"] == ("host-bound" if entered else "host-exact")
    assert verdict["upper_bound"] is entered
    assert ("waited for data at most" in " ".join(shown_text(tmp_path).split())) is entered


def test_a_generator_loader_keeps_the_name_that_watch_gives(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import datastall
        from torch.utils.data import DataLoader

        class Endless(DataLoader):
            def __iter__(self):
                for _ in range(2):
                    yield from super().__iter__()

        loader = Endless(list(range(8)), batch_size=2)
        for batch in datastall.watch(loader, name="mine", measure=lambda batch: 100):
            pass
        """,
    )
    recorded(tmp_path, "prog.py")
    loader = only(shown(tmp_path)["loaders"])
    assert (loader["name"], loader["batches"], loader["samples"]) == ("mine", 8, 800)


def test_a_background_thread_is_not_forgotten(tmp_path: Path) -> None:
    """The main thread takes over what a thread left: the figures are still a bound."""
    write(
        tmp_path,
        "prog.py",
        """
        import threading, time
        import datastall

        def consume(n):
            for _ in datastall.watch((time.sleep(0.002) for _ in range(n)), name="x"):
                pass

        thread = threading.Thread(target=consume, args=(20,))
        thread.start()
        thread.join()
        consume(2)
        """,
    )
    recorded(tmp_path, "prog.py")
    run_ = shown(tmp_path)
    assert only(run_["loaders"])["batches"] == 22
    assert only(run_["processes"])["upper_bound"] is True


def test_stages_tell_unknown_from_zero(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import datastall
        long = "\\u00e9" * 40   # 80 bytes: cut, but never through a character
        with datastall.stage(long):
            for _ in datastall.watch([[1], [2]], name="x"):
                pass
        assert datastall.summary()["stages"][0]["name"] == "\\u00e9" * 31
        """,
    )
    recorded(tmp_path, "prog.py")
    stage = only(shown(tmp_path)["stages"])
    assert stage["samples"] == 2 and stage["tokens"] is None


def test_a_loader_whose_making_was_not_seen_is_known_by_its_loop(tmp_path: Path) -> None:
    """As torchdata's StatefulDataLoader, which has an __init__ of its own."""
    program = write(
        tmp_path,
        "prog.py",
        """
        from torch.utils.data import DataLoader

        loader = DataLoader(list(range(8)), batch_size=2)
        import datastall._core as core
        core.remember(loader, None)
        for epoch in range(3):
            for batch in loader:  # here
                pass
        """,
    )
    recorded(tmp_path, "prog.py")
    loader = only(shown(tmp_path)["loaders"])
    assert (loader["name"], loader["batches"]) == (line_of(program, "here"), 12)
