# SPDX-License-Identifier: Apache-2.0
"""What a loader is called: the program's own line, whoever made the loader for it."""

from __future__ import annotations

import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from support import PYTHON, command, datastall, line_of, only, recorded, shown, shown_text, write

#: A framework that nobody knows by name: it makes a loader for training and one for validation.
FRAMEWORK = """
    import torch
    from torch.utils.data import DataLoader

    class Trainer:
        def get_loader(self, items):
            return DataLoader(range(items), batch_size=2)
        def get_train_dataloader(self):
            return self.get_loader(4)
        def get_eval_dataloader(self):
            return self.get_loader(6)
        def fit(self):
            for loader in (self.get_train_dataloader(), self.get_eval_dataloader()):
                for batch in loader:
                    pass

    class Alike:
        def get_iterator(self, items):
            return DataLoader(range(items), batch_size=2)
        def fit_loop(self):
            train = self.get_iterator(4)
            valid = self.get_iterator(6)
            return [len(list(loader)) for loader in (train, valid)]
        def predict(self):
            return list(self.get_iterator(8))

    class Deep:
        def fit(self, calls):
            return self.fit(calls - 1) if calls else list(DataLoader(range(4), batch_size=2))

    def main():
        Trainer().fit()
"""


def names(folder: Path) -> dict[str, int]:
    """Batches of each loader by its name; no two have the same."""
    loaders = shown(folder)["loaders"]
    batches = {loader["name"]: loader["batches"] for loader in loaders}
    assert len(batches) == len(loaders)
    return batches


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the framework and its console script, and our packages."""
    folder = tmp_path_factory.mktemp("env") / "project" / ".venv"
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = folder / "lib" / version / "site-packages"
    write(packages, "anyframework/__init__.py", FRAMEWORK)
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "bin/anytrain").write_text(
        f"#!{folder}/bin/python\nimport sys\nfrom anyframework import main\nsys.exit(main())\n"
    )
    (folder / "bin/anytrain").chmod(0o755)
    return folder


def run_in(environment: Path, folder: Path, *words: str) -> dict[str, int]:
    ended = datastall("run", "-q", str(environment / "bin" / words[0]), *words[1:], folder=folder)
    assert ended.code == 0, ended.err
    return names(folder)


TRAINS = """
    from anyframework import Trainer
    Trainer().fit()  # here
"""


@pytest.mark.parametrize("place", ["beside", "inside", "elsewhere"])
def test_a_loader_of_a_framework_is_the_programs(
    tmp_path: Path, environment: Path, place: str
) -> None:
    """Also where the environment lies in the project, or the project in the environment."""
    folders = {"beside": environment.parent, "inside": environment / "app", "elsewhere": tmp_path}
    program = write(folders[place], "train.py", TRAINS)
    line = line_of(program, "here")
    assert run_in(environment, tmp_path, "python", str(program)) == {
        f"{line} get_train_dataloader()": 2,
        f"{line} get_eval_dataloader()": 3,
    }
    assert {loader["site"] for loader in shown(tmp_path)["loaders"]} == {line}


def test_a_console_script_is_nobodys_own(tmp_path: Path, environment: Path) -> None:
    """Nothing of the program's own is there; the framework's outermost line tells something."""
    line = FRAMEWORK[: FRAMEWORK.index("Trainer().fit()")].count("\n") + 1
    for words in (["anytrain"], ["python", "-c", "import runpy; runpy.run_path('prog.py')"]):
        write(tmp_path, "prog.py", "from anyframework import main\nmain()\n")
        own = f"anyframework/__init__.py:{line}" if words[0] == "anytrain" else "prog.py:2"
        assert run_in(environment, tmp_path, *words) == {
            f"{own} get_train_dataloader()": 2,
            f"{own} get_eval_dataloader()": 3,
        }


def test_a_console_script_that_is_all_there_is(tmp_path: Path, environment: Path) -> None:
    script = environment / "bin/alone"
    script.write_text("from torch.utils.data import DataLoader\nlist(DataLoader(range(3)))\n")
    assert run_in(environment, tmp_path, "python", str(script)) == {"alone:2": 3}


def framework(folder: Path, program: str) -> Path:
    """Puts the framework where pip --target would, and a program beside it."""
    write(folder, "site-packages/anyframework.py", FRAMEWORK)
    lines = "import sys; sys.path.insert(0, 'site-packages')\nfrom anyframework import *\n"
    path = folder / "prog.py"
    path.write_text(lines + program)
    return path


def test_loaders_that_a_framework_makes_alike(tmp_path: Path) -> None:
    """By another function, else by the framework's line; the first has its plain name."""
    program = framework(tmp_path, "Alike().fit_loop(), Alike().predict()  # here\n")
    lines = FRAMEWORK.splitlines()
    valid = next(number for number, line in enumerate(lines, 1) if "valid = " in line)
    recorded(tmp_path, "prog.py")
    here = line_of(program, "here")
    assert names(tmp_path) == {
        f"{here} fit_loop()": 2,
        f"{here} fit_loop() from anyframework.py:{valid}": 3,
        f"{here} predict()": 4,
    }


@pytest.mark.parametrize("calls", [0, 60])
def test_a_framework_of_many_calls(tmp_path: Path, calls: int) -> None:
    """Two lines of the program are two loaders, however far away."""
    program = framework(
        tmp_path, f"Deep().fit({calls})  # one\nlist(Deep().fit({calls}))  # other\n"
    )
    recorded(tmp_path, "prog.py")
    assert names(tmp_path) == {
        f"{line_of(program, 'one')} fit()": 2,
        f"{line_of(program, 'other')} fit()": 2,
    }


def test_code_on_pythonpath_is_the_programs(tmp_path: Path) -> None:
    """As is an editable install, which is a line of such a path."""
    module = write(
        tmp_path,
        "lib/mine/__init__.py",
        """
        from torch.utils.data import DataLoader
        def make():
            return DataLoader(range(3))  # here
        """,
    )
    write(tmp_path, "prog.py", "import mine; list(mine.make())")
    recorded(tmp_path, "prog.py", extra={"PYTHONPATH": "lib"})
    assert names(tmp_path) == {f"mine/{line_of(module, 'here')}": 3}


@pytest.mark.parametrize("words", [["-c", "{}"], ["-c", "exec('''{}''')"], ["prog.py"]])
def test_code_without_a_file(tmp_path: Path, words: list[str]) -> None:
    """What the program made of a string is where it was executed; python -c has no file."""
    loop = "from torch.utils.data import DataLoader\nlist(DataLoader(range(3)))"
    write(tmp_path, "prog.py", f"exec({loop!r})\n")
    recorded(tmp_path, *[word.format(loop) for word in words])
    assert names(tmp_path) == {"prog.py:1" if words == ["prog.py"] else "<string>:2": 3}


def test_generated_methods_are_no_site(tmp_path: Path) -> None:
    """A dataclass's __init__ is made of a string, in the module's name."""
    program = framework(
        tmp_path,
        """
import dataclasses

@dataclasses.dataclass
class Data:
    items: int
    loader: object = dataclasses.field(default_factory=lambda: None)
    def __post_init__(self):
        self.loader = Trainer().get_loader(self.items)  # here

list(Data(4).loader)

@dataclasses.dataclass
class Lazy:
    loader: object = dataclasses.field(default_factory=Trainer().get_train_dataloader)

list(Lazy().loader)  # lazy
""",
    )
    recorded(tmp_path, "prog.py")
    assert names(tmp_path) == {
        f"{line_of(program, 'here')} get_loader()": 2,
        f"{line_of(program, 'lazy')} get_train_dataloader()": 2,
    }


# ---- several loaders of one line ----


def test_a_helper_function_is_told_apart_by_its_callers(tmp_path: Path) -> None:
    """Names that do not fit lose letters of the file, never the line."""
    name = "names_that_are_longer_than_a_field_of_a_file.py"
    write(
        tmp_path,
        name,
        """
        from torch.utils.data import DataLoader
        def make(items): return DataLoader(range(items))
        def helper(items): return make(items)
        for loader in (helper(1),
                       helper(2),
                       helper(3)):
            list(loader)
        """,
    )
    recorded(tmp_path, name)
    told = names(tmp_path)
    assert sorted(told.values()) == [1, 2, 3]
    for told_name, items in told.items():
        assert len(told_name) <= 63
        assert told_name.startswith("names_that_") and ".py:3" in told_name
        assert told_name.endswith(f".py:{4 + items}" if items > 1 else ".py:3")
    assert f"{name}:3" in {loader["site"] for loader in shown(tmp_path)["loaders"]}


def test_loaders_that_live_beside_each_other_are_two(tmp_path: Path) -> None:
    """One line, one kind of data set: training and validation in a dictionary, also when each epoch
    makes them anew; a loader that every epoch makes for itself is one."""
    program = write(
        tmp_path,
        "prog.py",
        """
        from torch.utils.data import DataLoader, TensorDataset
        import torch

        sets = {name: TensorDataset(torch.zeros(n, 1)) for name, n in (("a", 2), ("b", 3))}
        for epoch in range(3):
            loaders = {name: DataLoader(data) for name, data in sets.items()}  # two
            for loader in loaders.values():
                list(loader)
        for epoch in range(20):
            again = DataLoader(TensorDataset(torch.zeros(1, 1)))  # one
            list(again)
        """,
    )
    recorded(tmp_path, "prog.py")
    two, one = line_of(program, "two"), line_of(program, "one")
    assert names(tmp_path) == {two: 6, f"{two} (2)": 9, one: 20}


def test_many_loaders_of_one_line_are_bounded(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        """
        from torch.utils.data import DataLoader
        loaders = [DataLoader(list(range(2))) for _ in range(20)]
        for loader in loaders + loaders:
            list(loader)
        """,
    )
    recorded(tmp_path, "prog.py")
    told = names(tmp_path)
    assert len(told) == 8 and sum(told.values()) == 80


def test_the_class_of_the_data_set_tells_loaders_apart(tmp_path: Path) -> None:
    program = write(
        tmp_path,
        "prog.py",
        """
        from torch.utils.data import DataLoader, Dataset
        class Pictures(Dataset):
            def __len__(self): return 2
            def __getitem__(self, index): return index
        class Words(Pictures):
            def __len__(self): return 3
        for loader in [DataLoader(kind()) for kind in (Pictures, Words)]:  # here
            list(loader)
        """,
    )
    recorded(tmp_path, "prog.py")
    here = line_of(program, "here")
    assert names(tmp_path) == {here: 2, f"{here} (Words)": 3}
    heads = [line for line in shown_text(tmp_path).splitlines() if line.startswith("LOADER")]
    assert sorted(head.split(": ")[0].split(maxsplit=1)[1] for head in heads) == [
        f"{here} (Pictures)",
        f"{here} (Words)",
    ]


# ---- notebooks ----

#: What ipykernel does: a cell's file is named after its source, which IPython keeps.
KERNEL = """
import linecache, sys
import datastall
from torch.utils.data import DataLoader

In = [""]
variables = {"In": In, "_ih": In, "__name__": "__main__"}
kept = len(sys.argv) > 1

def run_cell(source, name):
    In.append(source)
    file = name.format(number=len(In) - 1, hash=abs(hash(source)))
    if kept:
        lines = [line + "\\n" for line in source.splitlines()]
        linecache.cache[file] = (len(source), None, lines, file)
    exec(compile(source, file, "exec"), variables)

name = NAME
datastall.install()
run_cell("from torch.utils.data import DataLoader", name)
MAKE = "def make(items):\\n    return DataLoader(list(range(items)))"
run_cell(MAKE, name)
LOOP = "\\n\\nlist(DataLoader(range(3)))"
run_cell(LOOP, name)
run_cell(LOOP, name)
run_cell("loader = make(2)", name)
run_cell("\\nlist(loader)", name)
run_cell(LOOP.replace("3", "4"), name)
run_cell("exec(compile('list(DataLoader(range(5)))', '<timed exec>', 'exec'))", name)
print([loader["name"] for loader in datastall.summary()["loaders"]])
"""


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    "name", ["'/tmp/ipykernel_123/{hash}.py'", "'<ipython-input-{number}-' + '{hash}>'"]
)
def test_a_cell_of_a_notebook(tmp_path: Path, name: str, kept: bool) -> None:
    """The cell that the line is in, which need not be the one that runs; a cell that runs again is
    the same loader, one that was changed another."""
    write(tmp_path, "kernel.py", KERNEL.replace("NAME", name))
    words = [PYTHON, "kernel.py", *(["kept"] if kept else [])]
    ended = command(words, tmp_path)
    assert ended.code == 0, ended.err
    known = kept or "ipython-input" in name
    assert names(tmp_path) == {
        "cell 3, line 3": 6,
        f"cell {2 if known else 5}, line 2": 2,
        "cell 7, line 3": 4,
        "cell 8, line 1": 5,  # %%time
    }


@pytest.mark.parametrize(
    "variables", ["{}", "{'In': 1, '_ih': Hostile()}", "{'In': [Hostile()] * 3, '_ih': None}"]
)
def test_a_notebook_whose_variables_are_others(tmp_path: Path, variables: str) -> None:
    """They are the program's: looked at, never called."""
    write(
        tmp_path,
        "prog.py",
        f"""
        import datastall, linecache
        from torch.utils.data import DataLoader
        datastall.install()

        class Hostile(list):
            def __len__(self): print("called"); return 5
            def __getitem__(self, index): print("called"); return ""
            def __eq__(self, other): print("called"); return True

        linecache.cache["/tmp/ipykernel_1/2.py"] = Hostile()
        code = compile("list(DataLoader(range(3)))", "/tmp/ipykernel_1/2.py", "exec")
        exec(code, {{"DataLoader": DataLoader, **{variables}}})
        """,
    )
    ended = command([PYTHON, "prog.py"], tmp_path)
    assert (ended.code, ended.out) == (0, ""), ended.err
    name = only(shown(tmp_path)["loaders"])["name"]
    assert name == ("cell 2, line 1" if "* 3" in variables else "2.py:1")
