# SPDX-License-Identifier: Apache-2.0
"""torchdata.nodes: its Loader is a loader. With the package where it is installed, and with one of
the same outline."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from support import PYTHON, command, line_of, only, recorded, shown, write

OUTLINE = """
    class BaseNode:
        def __iter__(self):
            return self
        def reset(self, initial_state=None):
            pass
        def __next__(self):
            return self.next()
        def state_dict(self):
            return self.get_state()

    class IterableWrapper(BaseNode):
        def __init__(self, iterable):
            self.iterable = iterable
        def reset(self, initial_state=None):
            self.iterator, self.count = iter(self.iterable), 0
            for _ in range((initial_state or {}).get("count", 0)):
                self.next()
        def next(self):
            item = next(self.iterator)
            self.count += 1
            return item
        def get_state(self):
            return {"count": self.count}

    class Loader:
        def __init__(self, root, restart_on_stop_iteration=True):
            self.root, self._it, self._next = root, None, None
        def __iter__(self):
            if self._it is None:
                self._it = LoaderIterator(self)
            self._it.reset(self._next)
            if self._next is not None and not self._it.has_next():
                self._it.reset(None)
            self._next = None
            return self._it
        def load_state_dict(self, state):
            self._next = state
        def state_dict(self):
            return self._it.state_dict()

    class LoaderIterator(BaseNode):
        def __init__(self, loader):
            self.loader, self.root, self._cached = loader, loader.root, None
        def reset(self, initial_state=None):
            self.root.reset(initial_state)
            self._cached = None
        def has_next(self):
            try:
                if self._cached is None:
                    self._cached = next(self)
            except StopIteration:
                pass
            return self._cached is not None
        def next(self):
            item, self._cached = self._cached, None
            return next(self.root) if item is None else item
        def get_state(self):
            return self.root.state_dict()
"""


@pytest.fixture(params=["outline", "package"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "outline":
        write(tmp_path, "torchdata/__init__.py", "")
        write(tmp_path, "torchdata/nodes/__init__.py", "from .loader import *")
        write(tmp_path, "torchdata/nodes/loader.py", OUTLINE)
    elif importlib.util.find_spec("torchdata") is None:
        pytest.skip("torchdata is not installed")
    return tmp_path


PROGRAM = """
    import torch
    from torchdata.nodes import IterableWrapper, Loader

    def batches(count):
        return [torch.ones(4, 2) * index for index in range(1, count + 1)]

    train = Loader(IterableWrapper(batches(5)))  # train
    valid = Loader(IterableWrapper(batches(3)))  # valid
    seen = []
    for epoch in range(3):
        seen += [batch.sum().item() for loader in (train, valid) for batch in loader]
    iterator = iter(train)
    seen += [next(iterator).sum().item(), iterator.has_next(), iterator.has_next()]
    seen += [next(iterator).sum().item()]
    resumed = Loader(IterableWrapper(batches(5)))  # resumed
    resumed.load_state_dict(train.state_dict())
    seen += [batch.sum().item() for batch in resumed]
    print(seen, type(iterator).__name__, iterator is iter(train))
"""


def test_a_loader_of_nodes_is_recorded(nodes: Path) -> None:
    """Each batch once, also where the program or the loader looks ahead; and it runs as ever."""
    program = write(nodes, "prog.py", PROGRAM)
    plain = command([PYTHON, "prog.py"], nodes)
    ended = recorded(nodes, "prog.py")
    assert (ended.out, ended.said) == (plain.out, []) and plain.code == 0, plain.err
    run = shown(nodes)
    loaders = {loader["name"]: loader for loader in run["loaders"]}
    expected = {"train": (17, 5), "valid": (9, 3), "resumed": (3, 1)}
    assert len(loaders) == len(expected)
    for marker, (batches, iterators) in expected.items():
        loader = loaders[line_of(program, marker)]
        assert (loader["batches"], loader["iterators"]) == (batches, iterators), marker
        assert (loader["samples"], loader["source"]) == (4 * batches, "torch")
        assert loader["dataset_type"] == "IterableWrapper"
    refused = only(run["processes"])["hooks_refused"]
    assert refused == dict.fromkeys(refused, 0)


WATCHED = """
    import datastall
    import torchdata.nodes
    datastall.install()
    from torchdata.nodes import IterableWrapper, Loader

    early = iter(Loader(IterableWrapper(range(1, 8))))
    loader = Loader(IterableWrapper(range(1, 5)))
    for epoch in range(2):
        watched = iter(datastall.watch(loader, name="mine", measure=lambda item: item))
        print(watched is loader._it, list(watched))
"""


@pytest.mark.parametrize("first", ["install", "import"])
def test_watch_only_names_it(nodes: Path, first: str) -> None:
    source = WATCHED if first == "import" else WATCHED.replace("import torchdata.nodes\n", "\n")
    write(nodes, "prog.py", source)
    ended = command([PYTHON, "prog.py"], nodes)
    assert ended.code == 0, ended.err
    assert ended.out == "True [1, 2, 3, 4]\n" * 2
    loaders = {loader["name"]: loader for loader in shown(nodes)["loaders"]}
    mine = loaders["mine"]
    assert (mine["batches"], mine["samples"]) == (8, 20)


def test_an_iterator_that_was_there_before(nodes: Path) -> None:
    write(
        nodes,
        "prog.py",
        """
        import datastall
        from torchdata.nodes import IterableWrapper, Loader
        early = iter(Loader(IterableWrapper(range(1, 8))))
        next(early)
        datastall.install()
        print(list(early))
        """,
    )
    ended = command([PYTHON, "prog.py"], nodes)
    assert (ended.code, ended.out) == (0, "[2, 3, 4, 5, 6, 7]\n"), ended.err
    assert only(shown(nodes)["loaders"])["batches"] == 6


def test_another_torchdata_is_left_alone(tmp_path: Path) -> None:
    """Without what is hooked: one line says so, and the program runs on."""
    write(tmp_path, "torchdata/__init__.py", "")
    write(tmp_path, "torchdata/nodes/__init__.py", "")
    write(tmp_path, "torchdata/nodes/loader.py", "class Loader(list):\n    pass\n")
    write(
        tmp_path,
        "prog.py",
        """
        from torchdata.nodes.loader import Loader
        print(Loader([1, 2]))
        """,
    )
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == "[1, 2]\n"
    assert "the hooks failed in Python" in only(ended.said)
