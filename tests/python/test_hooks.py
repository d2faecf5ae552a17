# SPDX-License-Identifier: Apache-2.0
"""How the hooks come into a process, and what they leave alone there."""

from __future__ import annotations

import ast
import os
import re
import shutil
from pathlib import Path

import datastall as package_of_datastall
import pytest
from support import (
    DATASTALL,
    FOREIGN_LOADER,
    PYTHON,
    command,
    datastall,
    free_threaded,
    only,
    recorded,
    run_folders,
    shown,
    shown_text,
    write,
)

pytestmark = pytest.mark.whole_start

LOOP = """
import datastall
for item in datastall.watch([1, 2, 3], name="list"):
    pass
"""


WATCH_HINT = "a loop without a DataLoader is recorded with: for batch in datastall.watch(loader)"
NO_LOADER = (
    "nothing was recorded: PyTorch was loaded, but no DataLoader was iterated; " + WATCH_HINT
)


def run_files(folder: Path) -> list[str]:
    """Names of the run files beside the launcher's."""
    names = sorted(path.name for path in only(run_folders(folder)).glob("*.dsrun"))
    return [name for name in names if name != "launcher.dsrun"]


def test_the_users_sitecustomize_still_runs(tmp_path: Path) -> None:
    write(
        tmp_path,
        "site/sitecustomize.py",
        """
        import sys
        sys.from_sitecustomize = [__name__, __file__, __spec__.name, sys.modules[__name__].__file__]
        """,
    )
    program = "import sys, sitecustomize; print(sys.from_sitecustomize, sitecustomize.__file__)"
    write(tmp_path, "prog.py", program)
    extra = {"PYTHONPATH": str(tmp_path / "site")}
    plain = command([PYTHON, "prog.py"], tmp_path, extra)
    ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path, extra=extra)
    assert "sitecustomize.py" in plain.out
    assert (ended.code, ended.out, ended.err) == (plain.code, plain.out, plain.err)


@pytest.mark.parametrize("verbose", ["", "1"])
def test_an_error_in_the_users_sitecustomize_prints_as_before(tmp_path: Path, verbose: str) -> None:
    write(tmp_path, "site/sitecustomize.py", "raise ValueError('broken on purpose')\n")
    write(tmp_path, "prog.py", "print('ran')\n")
    extra = {"PYTHONPATH": str(tmp_path / "site")}
    plain = command([PYTHON, "prog.py"], tmp_path, extra)
    assert "broken on purpose" in plain.err
    if verbose:  # the same, and still recorded
        write(tmp_path, "prog.py", LOOP)
        recorded(tmp_path, "prog.py", extra=extra)
        assert only(shown(tmp_path)["loaders"])["batches"] == 3
    else:
        ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path, extra=extra)
        assert (ended.code, ended.out, ended.err) == (plain.code, plain.out, plain.err)


def test_nothing_is_imported_that_the_program_does_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        import sys
        print([name for name in sys.modules if "torch" in name or "datastall" in name])
        """,
    )
    plain = command([PYTHON, "prog.py"], tmp_path)
    ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path)
    assert (ended.code, ended.out, ended.err) == (plain.code, plain.out, plain.err)


@pytest.mark.parametrize("own", ["", "lib", "lib:other"])
def test_the_programs_path_is_as_before(tmp_path: Path, own: str) -> None:
    write(tmp_path, "prog.py", "import sys; print(sys.path)")
    extra = {"PYTHONPATH": own} if own else {}
    plain = command([PYTHON, "prog.py"], tmp_path, extra)
    ended = datastall("run", "-q", PYTHON, "prog.py", folder=tmp_path, extra=extra)
    assert ended.out == plain.out
    assert "_inject" not in ended.out


def test_a_program_without_torch_stays_inert(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", "print('hello')")
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == "hello\n"
    assert run_files(tmp_path) == []
    assert ended.said == [
        f"datastall: nothing was recorded: no process imported torch.utils.data; {WATCH_HINT}"
    ]


@pytest.mark.parametrize(
    ("imports", "what"),
    [
        ("no_such_module", "imported torch.utils.data"),
        ("torch.utils.data", "iterated a DataLoader"),
    ],
)
def test_a_program_that_fails_before_it_loads(tmp_path: Path, imports: str, what: str) -> None:
    write(tmp_path, "prog.py", f"import {imports}\nraise SystemExit(1)")
    ended = datastall("run", PYTHON, "prog.py", folder=tmp_path)
    assert ended.code == 1
    assert f"nothing was recorded: the command ended with code 1 before it {what}" in ended.err


def test_torch_without_a_loader(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", "import torch.utils.data")
    ended = recorded(tmp_path, "prog.py")
    assert run_files(tmp_path) == []
    assert ended.said == [f"datastall: {NO_LOADER}"]


def test_a_loop_of_its_own_is_shown_the_way(tmp_path: Path) -> None:
    """np.memmap, a generator, a queue: said once at the end, and by `show`; then it is recorded."""
    loop = """
        import torch, datastall
        for batch in {loader}:
            torch.as_tensor(batch)
    """
    write(tmp_path, "prog.py", loop.format(loader="([1, 2], [3, 4])"))
    ended = recorded(tmp_path, "prog.py")
    assert ended.said == [f"datastall: {NO_LOADER}"]
    assert WATCH_HINT in " ".join(shown_text(tmp_path).split())
    write(tmp_path, "prog.py", loop.format(loader="datastall.watch(([1, 2], [3, 4]))"))
    ended = recorded(tmp_path, "prog.py")
    assert ended.said == []
    assert WATCH_HINT not in ended.err + shown_text(tmp_path)
    assert only(shown(tmp_path)["loaders"])["batches"] == 2


BASE = os.path.realpath(PYTHON)  # the interpreter of the virtual environment's maker


def need_base_without_package(folder: Path) -> None:
    if command([BASE, "-c", "import datastall"], folder).code == 0:
        pytest.skip("datastall is installed there as well")


@pytest.mark.parametrize("options", [["-I"], ["-E"], ["-E", "-s"], ["-IuB"]])
def test_options_that_ignore_the_environment(tmp_path: Path, options: list[str]) -> None:
    """Where the package is installed, datastall.pth brings the hooks; else the words say it."""
    write(tmp_path, "prog.py", "import torch.utils.data as d; print(len(d.DataLoader([1, 2])))")
    write(tmp_path, "empty.py", "print('ran')")
    ended = recorded(tmp_path, *options, "prog.py")
    assert (ended.out, ended.said) == (
        "2\n",
        [f"datastall: {NO_LOADER}"],
    )
    need_base_without_package(tmp_path)
    ended = datastall("run", BASE, *options, "empty.py", folder=tmp_path)
    assert (ended.code, ended.out) == (0, "ran\n")
    assert "ignores PYTHONPATH, and datastall is not installed in that" in only(ended.said)


@pytest.mark.parametrize("options", [["-S"], ["-I", "-S"], ["-SI"], ["-u", "-W", "ignore", "-OS"]])
def test_no_hooks_without_the_site_module(tmp_path: Path, options: list[str]) -> None:
    write(tmp_path, "prog.py", "print('ran')")
    ended = recorded(tmp_path, *options, "prog.py", "-E")
    assert ended.out == "ran\n"
    assert "python -S starts without the hooks" in only(ended.said)


def test_options_of_the_program_are_not_pythons(tmp_path: Path) -> None:
    ended = recorded(tmp_path, "-c", "pass", "-S")
    assert "no process imported torch.utils.data" in only(ended.said)


TORCH_LOOP = """
from torch.utils.data import DataLoader
print(len(list(DataLoader(list(range(6)), num_workers=1))))
"""


@pytest.mark.parametrize("options", ["", "-E", "-I"])
def test_a_script_that_sets_pythonpath_anew(tmp_path: Path, options: str) -> None:
    write(tmp_path, "src/mine.py", "")
    write(tmp_path, "prog.py", TORCH_LOOP)
    line = f"cd src; PYTHONPATH=. '{PYTHON}' {options} ../prog.py"
    ended = datastall("run", "sh", "-c", line, folder=tmp_path)
    assert (ended.code, ended.out) == (0, "6\n")
    assert only(shown(tmp_path)["loaders"])["batches"] == 6


def test_an_interpreter_without_the_package_and_pythonpath(tmp_path: Path) -> None:
    need_base_without_package(tmp_path)
    ended = datastall("run", "sh", "-c", f"PYTHONPATH=src '{BASE}' -c 'print(1)'", folder=tmp_path)
    assert (ended.code, ended.out) == (0, "1\n")
    assert "sets PYTHONPATH itself for an interpreter without datastall" in only(ended.said)


@pytest.mark.parametrize("words", [[PYTHON], ["env", "-u", "PYTHONPATH", PYTHON], [PYTHON, "-I"]])
def test_both_ways_in_are_one(tmp_path: Path, words: list[str]) -> None:
    """sitecustomize and datastall.pth: who comes second does nothing."""
    program = "import sys; print(sum(hasattr(f, 'datastall_package') for f in sys.meta_path))"
    ended = datastall("run", "-q", *words, "-c", program, folder=tmp_path)
    assert (ended.code, ended.out) == (0, "1\n")


def test_another_finder_that_asks_all_others(tmp_path: Path) -> None:
    """As one of another version of datastall would, or one of another tool of this kind."""
    write(
        tmp_path,
        "prog.py",
        f"""
        import sys

        class Asks:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name == "torch.utils.data.dataloader":
                    for finder in sys.meta_path:
                        if finder is not Asks:
                            spec = finder.find_spec(name, path, target)
                            if spec is not None:
                                return spec

        sys.meta_path.insert(0, Asks)
        {TORCH_LOOP.replace(chr(10), chr(10) + " " * 8)}
        """,
    )
    assert recorded(tmp_path, "prog.py").out == "6\n"
    assert only(shown(tmp_path)["loaders"])["batches"] == 6


PTH = Path(__file__).parents[2] / "python/datastall.pth"


@pytest.mark.parametrize("left", ["nothing", "no file", "broken", "raises"])
@pytest.mark.parametrize("run", [False, True])
def test_a_package_that_is_gone_leaves_python_alone(tmp_path: Path, left: str, run: bool) -> None:
    """The .pth file alone, or with what a removal or a bad disk left of the package."""
    site = tmp_path / "site"
    (site / "datastall/_inject").mkdir(parents=True)
    shutil.copy(PTH, site / "datastall.pth")
    injected = site / "datastall/_inject/sitecustomize.py"
    if left == "nothing":
        shutil.rmtree(site / "datastall")
    elif left != "no file":
        injected.write_text("(" if left == "broken" else "raise ValueError('broken')")
    program = f"import site; site.addsitedir({str(site)!r}); print('ran')"
    extra = {"DATASTALL_RUN_DIR": str(tmp_path)} if run else {}
    ended = command([BASE, "-c", program], tmp_path, extra)
    assert (ended.code, ended.out, ended.err) == (0, "ran\n", "")


def test_the_pth_file_does_nothing_without_a_run(tmp_path: Path) -> None:
    program = "import sys; print(sorted(sys.modules), sys.meta_path, sys.path, sorted(globals()))"
    installed = command([PYTHON, "-I", "-c", program], tmp_path)
    assert installed.code == 0 and installed.err == ""
    assert "datastall" not in installed.out.replace(str(tmp_path), "")


def test_an_isolated_python_executes_no_file_of_the_environment(tmp_path: Path) -> None:
    """-I and -E are for those who do not trust it."""
    for name in ("__init__.py", "_hooks.py", "_inject/sitecustomize.py"):
        write(tmp_path, f"evil/{name}", "print('executed')")
    write(tmp_path, "prog.py", "import torch.utils.data; print('ran')")
    extra = {"DATASTALL_PACKAGE_DIR": str(tmp_path / "evil"), "DATASTALL_RUN_DIR": str(tmp_path)}
    for option in ("-I", "-E"):
        ended = command([PYTHON, option, "prog.py"], tmp_path, extra)
        assert (ended.code, ended.out) == (0, "ran\n")


def old_pythons() -> list[str]:
    found = [shutil.which(name) for name in ("python2.7", "python3.6", "python3.8", "python3.9")]
    for version in ("2.7", "3.6", "3.7", "3.8", "3.9"):
        found += map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return [path for path in found if path and command([path, "-c", ""], Path("/")).code == 0]


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    pythons = old_pythons()
    if not pythons:
        pytest.skip("every Python here is 3.10 or newer")
    for python in pythons:
        program = "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"
        ended = datastall("run", python, "-B", "-c", program, folder=tmp_path)
        assert ended.code == 0
        assert f"Python {ended.out} is older than 3.10" in only(ended.said)


def test_a_free_threaded_python_is_left_alone(tmp_path: Path) -> None:
    """What is built for a Python with the GIL would end one without it."""
    program = write(
        tmp_path,
        "prog.py",
        """
        import sys
        assert not [each for each in sys.meta_path if hasattr(each, "datastall_package")]
        sys.path.append(sys.argv[1])
        try:
            import datastall
        except ImportError as error:
            print(error)
        """,
    )
    package = str(Path(package_of_datastall.__file__).parents[1])
    for python in free_threaded(tmp_path):
        ended = datastall("run", python, str(program), package, folder=tmp_path)
        assert ended.code == 0
        assert ended.out.startswith("datastall has no build for a free-threaded Python")
        assert "is free-threaded (without the GIL), for which datastall" in ended.err


@pytest.mark.parametrize("words", [("env", "-i"), ("env", "-u", "DATASTALL_RUN_DIR")])
def test_a_cleared_environment(tmp_path: Path, words: tuple[str, ...]) -> None:
    write(tmp_path, "prog.py", "print('ran')")
    ended = datastall("run", *words, PYTHON, "prog.py", folder=tmp_path)
    assert (ended.code, ended.out) == (0, "ran\n")
    assert "clears the environment on the way (env -i" in only(ended.said)


def test_a_command_that_is_no_python(tmp_path: Path) -> None:
    ended = datastall("run", "true", folder=tmp_path)
    assert ended.code == 0
    assert "no Python started the hooks: the command starts none" in only(ended.said)


def test_another_interpreter_finds_the_package(tmp_path: Path) -> None:
    """The base interpreter has no datastall installed; the hooks bring it along."""
    need_base_without_package(tmp_path)
    write(tmp_path, "prog.py", LOOP)
    ended = datastall("run", BASE, "prog.py", folder=tmp_path)
    assert ended.code == 0, ended.err
    assert only(shown(tmp_path)["loaders"])["batches"] == 3


def test_children_are_hooked_too(tmp_path: Path) -> None:
    """A shell script that starts Python: the environment carries the hooks."""
    write(tmp_path, "prog.py", LOOP)
    ended = command([DATASTALL, "run", "sh", "-c", f"'{PYTHON}' prog.py; exit 4"], tmp_path)
    assert ended.code == 4
    assert only(shown(tmp_path)["loaders"])["batches"] == 3


INJECTED = Path(__file__).parents[2] / "python/datastall/_inject/sitecustomize.py"


def test_the_injected_file_is_syntax_of_every_python() -> None:
    """What Python 2.7 and the first ones of 3 cannot read, without having one."""
    source = INJECTED.read_text(encoding="ascii")
    too_new = (
        *(ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.YieldFrom, ast.Match),
        *(ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await, ast.MatMult),
    )
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, too_new), ast.unparse(node)
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            assert not any(isinstance(item, ast.Starred) for item in node.elts), ast.unparse(node)
        elif isinstance(node, ast.Dict):
            assert None not in node.keys, ast.unparse(node)
        elif isinstance(node, ast.Call):
            starred = [item for item in node.args if isinstance(item, ast.Starred)]
            assert not starred or starred == node.args[-1:], ast.unparse(node)
        elif isinstance(node, ast.Raise):
            assert node.cause is None, ast.unparse(node)
        elif isinstance(node, ast.ClassDef):
            assert not node.keywords, node.name
        elif isinstance(node, ast.FunctionDef):
            arguments = node.args
            assert not arguments.kwonlyargs and not arguments.posonlyargs, node.name
            assert node.returns is None, node.name
            assert all(one.annotation is None for one in arguments.args), node.name
    assert not re.search(r"\d_\d", source), "digits with underscores"


def python_2() -> str:
    found = [shutil.which(name) for name in ("python2.7", "python2")]
    found += map(str, Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))
    for path in filter(None, found):
        if command([path, "-c", ""], Path("/")).code == 0:
            return path
    pytest.skip("there is no Python 2.7")


def test_python_2_runs_as_ever(tmp_path: Path) -> None:
    """With the user's sitecustomize, and without one."""
    python = python_2()
    program = "import sys; print(getattr(sys, 'own', None), sys.path)"
    write(tmp_path, "site/sitecustomize.py", "import sys; sys.own = __name__, __file__\n")
    for extra in ({}, {"PYTHONPATH": "site"}):
        extra = {"PYTHONDONTWRITEBYTECODE": "1", **extra}
        plain = command([python, "-c", program], tmp_path, extra)
        words = ("run", "-q", python, "-c", program)
        ended = datastall(*words, folder=tmp_path, extra=extra)
        assert (ended.code, ended.out, ended.err) == (0, plain.out, plain.err)
        assert ("site/sitecustomize.py" in ended.out) == ("PYTHONPATH" in extra)


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "ValueError"])
def test_what_a_signal_handler_raises_while_hooking(tmp_path: Path, name: str) -> None:
    """SystemExit and KeyboardInterrupt are the program's; an error of the hooks is not."""
    for folder in ("torch", "torch/utils", "torch/utils/data"):
        write(tmp_path, f"{folder}/__init__.py", "")
    write(
        tmp_path,
        "torch/utils/data/dataloader.py",
        f"""
        import os, signal
        def handle(number, frame):
            raise {name}(7)
        signal.signal(signal.SIGUSR1, handle)
        def __getattr__(name):  # the hooks look for something
            if name.startswith("__"):
                raise AttributeError(name)
            os.kill(os.getpid(), signal.SIGUSR1)
        """,
    )
    write(
        tmp_path,
        "prog.py",
        """
        try:
            import torch.utils.data.dataloader
            print("went on")
        except BaseException as error:
            print(type(error).__name__)
        """,
    )
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == ("went on\n" if name == "ValueError" else f"{name}\n")


def test_a_program_that_clears_its_environment(tmp_path: Path) -> None:
    """The hooks have no folder then: they say nothing and break nothing."""
    write(
        tmp_path,
        "prog.py",
        """
        import os
        os.environ.pop("DATASTALL_RUN_DIR", None)
        import torch.utils.data
        print("went on")
        """,
    )
    assert recorded(tmp_path, "prog.py").out == "went on\n"


def test_a_torch_that_cannot_be_hooked(tmp_path: Path) -> None:
    """Another layout of torch.utils.data: the program runs on, one line says why."""
    write(tmp_path, "torch/__init__.py", "")
    write(tmp_path, "torch/utils/__init__.py", "")
    write(tmp_path, "torch/utils/data/__init__.py", "from .dataloader import DataLoader\n")
    write(
        tmp_path,
        "torch/utils/data/dataloader.py",
        """
        class DataLoader:
            def __init__(self, data):
                self.data = data
            def __iter__(self):
                return iter(self.data)
        """,
    )
    write(
        tmp_path,
        "prog.py",
        "from torch.utils.data import DataLoader; print(list(DataLoader([1, 2])))",
    )
    ended = recorded(tmp_path, "prog.py")
    assert ended.out == "[1, 2]\n"
    assert "the hooks failed in Python" in only(ended.said)


REFUSED = (
    FOREIGN_LOADER
    + """
    from torch.utils.data import DataLoader

    class Fake(Foreign):
        batch_size, sampler = None, range(5)

    def iterate(loader):
        print(sum(_SingleProcessDataLoaderIter(loader)))
"""
)
#: program, what it counts
REFUSALS = {
    "nothing": ("\n    list(DataLoader(range(3))), iterate(Fake())\n", {}),
    "settings": (
        """
    class Without(Fake):
        pin_memory = property(lambda self: False)  # may be anybody's code
        persistent_workers = False
    del Fake.sampler, Fake.batch_size
    iterate(Without())
    iterate(Without())
    """,
        {"settings": 6},
    ),
    "iterators": (
        """
    class Other(DataLoader):
        def _get_iterator(self):
            return iter([1, 2])
    for epoch in range(3):
        print(list(Other(range(3))))
    """,
        {"iterators": 3},
    ),
    "loaders": (
        """
    Fake.batch_size = 1 << 80
    iterate(Fake())
    """,
        {"loaders": 1},
    ),
    "feeds": (
        """
    Fake.num_workers = False
    iterate(Fake())
    iterate(Fake())
    """,
        {"feeds": 2, "settings": 2},
    ),
    "fetchers": (
        """
    from torch.utils.data._utils.fetch import _IterableDatasetFetcher
    class Fetcher(_IterableDatasetFetcher):
        pass
    class Iterator(_SingleProcessDataLoaderIter):
        def __init__(self, loader):
            super().__init__(loader)
            self._dataset_fetcher.__class__ = Fetcher
    class Foreign(DataLoader):
        def _get_iterator(self):
            return Iterator(self)
    print(list(Foreign(Stream(), batch_size=None)))
    """,
        {"feeds": 1},
    ),
}


#: Each case in a process of its own, which has torch already.
REFUSING = """
    import gc, os, sys
    from torch.utils.data import DataLoader
    gc.freeze()
    for name in sys.argv[1:]:
        child = os.fork()
        if child == 0:
            print(name, os.getpid(), flush=True)
            exec(compile(open(f"{name}.py").read(), f"{name}.py", "exec"))
            break
        assert os.waitpid(child, 0)[1] == 0
"""
CASE_AND_PID = re.compile(r"^([a-z]+) (\d+)$", re.MULTILINE)
LEFT_OUT = {
    "loaders": "1 time: a loader that could not be registered",
    "iterators": "3 times: an iterator of another kind than torch's",
    "settings": "8 times: a setting of a loader that cannot be read",
    "feeds": "3 times: what feeds an iterator, which is not known",
}


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    """At each iter(); said in `show`, and the program is as ever."""
    write(tmp_path, "prog.py", REFUSING)
    for name, (program, _) in REFUSALS.items():
        write(tmp_path, f"{name}.py", REFUSED + program)
    plain = command([PYTHON, "prog.py", *REFUSALS], tmp_path)
    ended = recorded(tmp_path, "prog.py", *REFUSALS)
    assert plain.code == 0, plain.err
    assert CASE_AND_PID.sub(r"\1", ended.out) == CASE_AND_PID.sub(r"\1", plain.out)
    pids = {name: int(pid) for name, pid in CASE_AND_PID.findall(ended.out)}
    assert list(pids) == list(REFUSALS)
    refused = {each["pid"]: each["hooks_refused"] for each in shown(tmp_path)["processes"]}
    for name, (_, counts) in REFUSALS.items():
        assert refused[pids[name]] == {**dict.fromkeys(LEFT_OUT, 0), **counts}, name
    text = shown_text(tmp_path)
    assert text.count("the hooks left out") == len(LEFT_OUT)
    for sentence in LEFT_OUT.values():
        assert f"the hooks left out, {sentence}" in text


def test_where_nothing_is_left_out_nothing_is_said(tmp_path: Path) -> None:
    write(tmp_path, "prog.py", REFUSED + REFUSALS["nothing"][0])
    recorded(tmp_path, "prog.py")
    assert "the hooks left out" not in shown_text(tmp_path)


def test_a_wrapper_around_next(tmp_path: Path) -> None:
    """Of another tool's, put there later: it hands on keywords of which there are none."""
    program = write(
        tmp_path,
        "program.py",
        """
        from torch.utils.data import DataLoader, dataloader
        original = dataloader._BaseDataLoaderIter.__next__
        def wrapped(*args, **kwargs):
            return original(*args, **kwargs)
        dataloader._BaseDataLoaderIter.__next__ = wrapped
        print(sum(len(batch) for batch in DataLoader(range(12), batch_size=4)))
        """,
    )
    assert recorded(tmp_path, program.name).out == "12\n"
    assert only(shown(tmp_path)["loaders"])["batches"] == 3
