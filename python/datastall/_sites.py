# SPDX-License-Identifier: Apache-2.0
"""Where a loader comes from: the line of the program's own code that made it, and what to call it.

Whose code a line is follows from where its file lies: what is installed (site-packages), Python's
own and torch's are not the program's; everything else is, an editable install and a folder of
PYTHONPATH too. Only what frames, code objects and plain dictionaries store is looked at; no code
of the program runs. Once per loader, and once per file whose place is not known yet.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from types import CodeType, FrameType, FunctionType
from typing import Any

from ._looks import held, mro, namespace

#: Whose code it is: the program's; an installed package's; a console script's or Python's own;
#: torch's or datastall's.
USERS, PACKAGES, OUTSIDE, TORCHS = range(4)
PACKAGE_FOLDERS = frozenset({"site-packages", "dist-packages", "__pypackages__"})

#: A function of a framework whose name has one of these words makes its loaders for one purpose.
PURPOSES = frozenset(
    {
        *("train", "training", "fit", "val", "valid", "validate", "validation"),
        *("eval", "evaluate", "evaluation", "test", "testing"),
        *("predict", "prediction", "infer", "inference"),
    }
)

OF_IPYTHON = "<ipython-input-"

MAX_FRAMES = 24  # of which the identity is made
MOST_FRAMES = 128  # in which the program's own line is looked for
MAX_FILES = 4096
MAX_NAMES = 1024
MAX_ALIKE = 8
MAX_CELLS = 1000


# ---- whose code ----


@dataclass(frozen=True, slots=True)
class _File:
    """What the name of a file of code tells."""

    owner: int
    short: str  # "train.py", "mine/__init__.py"; of a package the path in it
    identity: str
    is_generated: bool = False  # it is no file: whose it is depends on the frame
    is_of_notebook: bool = False


_files: dict[str, _File] = {}
_own_folder = os.path.dirname(os.path.abspath(__file__))
_python_folder = os.path.dirname(os.path.abspath(os.__file__))
_script_folders: frozenset[str] | None = None


def _folders_of_scripts() -> frozenset[str]:
    """Where installed console scripts lie, as named and as they are behind symbolic links."""
    global _script_folders
    if _script_folders is None:
        prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
        of_user = held(sys.modules.get("site"), "USER_BASE")
        if type(of_user) is str:
            prefixes.add(of_user)
        folders = {os.path.join(prefix, "bin") for prefix in prefixes}
        folders |= {os.path.join(prefix, "local", "bin") for prefix in prefixes}
        _script_folders = frozenset(folders | {os.path.realpath(folder) for folder in folders})
    return _script_folders


def _is_of_scripts(folder: str) -> bool:
    scripts = _folders_of_scripts()
    return folder in scripts or os.path.realpath(folder) in scripts


def _lies_in(path: str, folder: str) -> bool:
    return path.startswith(folder + os.sep)


def _owner_by_place(file: str) -> int:
    path = os.path.abspath(file)
    torch = held(sys.modules.get("torch"), "__file__")
    if _lies_in(path, _own_folder):
        return TORCHS
    if type(torch) is str and _lies_in(path, os.path.dirname(os.path.abspath(torch))):
        return TORCHS
    if not PACKAGE_FOLDERS.isdisjoint(path.split(os.sep)):
        return PACKAGES
    if _is_of_scripts(os.path.dirname(path)) or _lies_in(path, _python_folder):
        return OUTSIDE
    return USERS


def _short_path(file: str, owner: int) -> str:
    """A file's name, with its folder where that alone tells it."""
    parts = file.split(os.sep)
    if owner == PACKAGES:
        for place in range(len(parts) - 1, -1, -1):
            if parts[place] in PACKAGE_FOLDERS:
                return "/".join(parts[place + 1 :])
    return "/".join(parts[-2:] if parts[-1] in ("__init__.py", "__main__.py") else parts[-1:])


def _is_of_ipykernel(file: str) -> bool:
    folder = os.path.basename(os.path.dirname(file))
    return folder.startswith("ipykernel_") and folder[len("ipykernel_") :].isdigit()


def _look_at_file(file: str) -> _File:
    if file.startswith(OF_IPYTHON):
        # <ipython-input-NUMBER-HASH>: a cell that runs again is the same loader while its source
        # is the same, so the number is no part of the identity. ipykernel's names have none.
        return _File(USERS, file, OF_IPYTHON + file.rpartition("-")[2], is_of_notebook=True)
    if file.startswith("<"):
        is_frozen = file.startswith("<frozen ")
        return _File(OUTSIDE if is_frozen else USERS, file, file, is_generated=not is_frozen)
    owner = _owner_by_place(file)
    return _File(owner, _short_path(file, owner), file, is_of_notebook=_is_of_ipykernel(file))


def _file_of(code: CodeType) -> _File:
    name = code.co_filename
    if type(name) is not str:  # somebody's own kind
        return _File(USERS, "?", "?")
    file = _files.get(name)
    if file is None:
        if len(_files) >= MAX_FILES:  # of a program that makes files of code as it runs
            _files.clear()
        file = _files[name] = _look_at_file(name)
    return file


def _owner_of_generated(variables: Any) -> int:
    """Of code that was made as the program ran.

    In the name of a module (a dataclass's __init__) or in a notebook (%%time) it is no line that
    anybody can open, so its caller is. Else it is the program itself: python -c.
    """
    module = dict.get(variables, "__file__")
    if type(module) is str:
        owner = _look_at_file(module).owner
        return OUTSIDE if owner == USERS else owner
    return OUTSIDE if _history(variables) else USERS


# ---- what a line is called ----


def _history(variables: Any) -> list[Any]:
    """The sources of the notebook's cells, by their numbers."""
    for name in ("_ih", "In"):
        cells = dict.get(variables, name)
        if type(cells) is list:
            return cells
    return []


def _source_of_cell(name: str) -> str | None:
    """What IPython keeps for tracebacks."""
    cache = held(sys.modules.get("linecache"), "cache")
    entry = cache.get(name) if type(cache) is dict else None
    if type(entry) is not tuple or len(entry) != 4 or type(entry[2]) is not list:
        return None
    return "".join(line for line in entry[2] if type(line) is str).rstrip("\n")


def _cell_of(frame: FrameType) -> str:
    """The number of the cell that a notebook's code was written in; "": not known.

    ipykernel names a cell's file after what is in it, so the number is that of the last cell with
    this source; the one that runs now where it is not kept.
    """
    name = frame.f_code.co_filename
    if name.startswith(OF_IPYTHON):
        return name[len(OF_IPYTHON) :].partition("-")[0]
    cells = _history(frame.f_globals)
    source = _source_of_cell(name)
    for number in range(len(cells) - 1, max(0, len(cells) - 1 - MAX_CELLS), -1):
        if type(cells[number]) is str and cells[number].rstrip("\n") == source:
            return str(number)
    return str(len(cells) - 1) if len(cells) > 1 else ""


def _place_of(frame: FrameType, file: _File) -> str:
    """ "train.py:12", "cell 2, line 3" """
    cell = _cell_of(frame) if file.is_of_notebook else ""
    return f"cell {cell}, line {frame.f_lineno}" if cell else f"{file.short}:{frame.f_lineno}"


# ---- the way to a loader ----


@dataclass
class _Way:
    """The calls that made a loader, from the innermost outwards."""

    identity: str
    users: list[str]  # the program's lines
    packages: list[str]  # lines of installed packages
    functions: list[str]  # of packages, below the program's innermost line
    outside: str
    dataset_type: str

    def site(self) -> str:
        """The program's line; else the package's that was called first; else what there is."""
        if self.users:
            return self.users[0]
        return self.packages[-1] if self.packages else self.outside

    def purpose(self) -> str:
        """The framework's function that tells what the loader is for; "": none does."""
        functions = [name for name in self.functions if not name.startswith("<")]
        for name in functions:
            if not PURPOSES.isdisjoint(name.lower().split("_")):
                return name
        if not self.users:
            return functions[0] if functions else ""
        return functions[-1] if functions and functions[-1].startswith("get_") else ""


def _init_codes(loader: object) -> list[CodeType]:
    """The code of every __init__ that making this object may run through.

    Not the frames' locals, where its `self` is: to look at them is to write them anew into what
    the program got from locals().
    """
    inits = [namespace(kind).get("__init__") for kind in mro(type(loader))]
    return [init.__code__ for init in inits if type(init) is FunctionType]


def _way_to(frame: FrameType | None, inits: list[CodeType], dataset_type: str) -> _Way:
    way = _Way("", [], [], [], "", dataset_type)
    steps: list[str] = []
    outside_is_script = False
    while frame is not None and len(steps) < (MAX_FRAMES if way.users else MOST_FRAMES):
        code = frame.f_code
        file = _file_of(code)
        owner = _owner_of_generated(frame.f_globals) if file.is_generated else file.owner
        steps.append(f"{file.identity}:{frame.f_lineno}")
        is_init = not way.users and any(code is one for one in inits)
        if owner == USERS and not is_init:
            way.users.append(_place_of(frame, file))
        elif owner == PACKAGES and not is_init:
            way.packages.append(f"{file.short}:{frame.f_lineno}")
            if not way.users:
                way.functions.append(code.co_name)
        elif owner == OUTSIDE and (not way.outside or not outside_is_script):
            way.outside = _place_of(frame, file)
            outside_is_script = _is_of_scripts(os.path.dirname(code.co_filename))
        if file.is_of_notebook and code.co_name.startswith(("<module>", "<cell line")):
            break  # behind the cell is only the kernel
        frame = frame.f_back
    way.identity = "\n".join(steps)
    return way


# ---- names ----

_named: dict[str, _Way] = {}  # who has a name


def _names(way: _Way) -> Iterator[str]:
    """Names for it, each saying more of where it parts from who has the one before."""
    site, purpose = way.site(), way.purpose()
    name = f"{site} {purpose}()" if purpose else site
    yield name
    other = _named[name]
    for function in reversed(way.functions):
        if function not in other.functions and not function.startswith("<"):
            yield f"{site} {function}()"
    for mine, others in ((way.users, other.users), (way.packages, other.packages)):
        for place, theirs in zip_longest(mine, others):
            if place not in (None, theirs, site):
                yield f"{name} from {place}"
    if way.dataset_type not in ("", other.dataset_type):
        yield f"{name} ({way.dataset_type})"


def _name_of(way: _Way) -> str:
    """The first name that nobody else has; else the first, to which a number is added when it is
    registered."""
    first = ""
    for name in _names(way):
        first = first or name
        if len(_named) >= MAX_NAMES:
            break
        holder = _named.setdefault(name, way)
        if (holder.identity, holder.dataset_type) == (way.identity, way.dataset_type):
            return name
    return first


def describe_site(
    frame: FrameType | None, skip_init_of: object = None, dataset_type: str = ""
) -> tuple[str, str, str]:
    """(identity, site, name) of the call that `frame` makes.

    The identity is the whole call path, so that two calls of one helper function are two loaders,
    and a loader made anew each epoch by one line is one. The __init__ methods that make
    `skip_init_of` are no site of it. The site is the program's own line, whichever framework it
    called; the name says as much more as tells it from the loaders before it.
    """
    inits = [] if skip_init_of is None else _init_codes(skip_init_of)
    way = _way_to(frame, inits, dataset_type)
    return way.identity, way.site(), _name_of(way)


def site_of(frame: FrameType | None, skip_init_of: object) -> str:
    """The site alone: nothing is named."""
    return _way_to(frame, _init_codes(skip_init_of), "").site()


# ---- loaders of one line ----

_alike: dict[str, list[weakref.ref[Any]]] = {}


def number_among_alike(identity: str, loader: object) -> int:
    """Tells apart what one line makes several of: 0 for the first, then 1, 2 ...

    A loader made anew takes the number of one that is gone or has the same data set. So one that is
    made each epoch stays one, and a dictionary of loaders for training and validation holds two. At
    most MAX_ALIKE; the rest share the last number.
    """
    try:
        reference = weakref.ref(loader)
    except TypeError:
        return 0
    if identity not in _alike and len(_alike) >= MAX_NAMES:
        return 0
    beside = _alike.setdefault(identity, [])
    others = [other() for other in beside]
    dataset = held(loader, "dataset")
    places = [number for number, other in enumerate(others) if other is loader]
    places += [
        number
        for number, other in enumerate(others)
        if other is not None and held(other, "dataset") is dataset
    ]
    places += [number for number, other in enumerate(others) if other is None]
    if not places and len(beside) < MAX_ALIKE:
        beside.append(reference)
    number = places[0] if places else len(beside) - 1
    beside[number] = reference
    return number
