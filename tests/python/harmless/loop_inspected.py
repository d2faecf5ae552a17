# SPDX-License-Identifier: Apache-2.0
"""What inspect and typing say about the loader's methods."""

import inspect
import os
import types
import typing

from torch.utils.data import DataLoader, dataloader
from torch.utils.data._utils import fetch, pin_memory

base = dataloader._BaseDataLoaderIter
functions = [
    DataLoader.__init__,
    DataLoader.__iter__,
    base.__init__,
    base.__next__,
    base._next_index,
]
functions += [fetch._MapDatasetFetcher.fetch, fetch._IterableDatasetFetcher.fetch]
functions += [pin_memory.pin_memory, dataloader._DatasetKind.create_fetcher]
for function in functions:
    print(
        function.__qualname__, function.__module__, function.__name__, inspect.signature(function)
    )
    print(
        inspect.isfunction(function),
        inspect.isroutine(function),
        isinstance(function, types.FunctionType),
    )
    print(type(function).__name__, callable(function), os.path.basename(inspect.getfile(function)))
    print(
        inspect.getsourcelines(function)[1],
        len(inspect.getsource(function)),
        bool(inspect.getdoc(function)),
    )
    print(function.__code__.co_firstlineno, function.__defaults__, function.__kwdefaults__)
    print(sorted(vars(function)), function.__closure__, hasattr(function, "__wrapped__"))
    try:
        print(len(typing.get_type_hints(function)), inspect.unwrap(function) is function)
    except NameError as error:  # names that torch imports for type checkers only
        print(error)
    print(
        repr(function).split(" at ")[0],
        inspect.getattr_static(function, "__get__", None) is not None,
    )
print(
    type(DataLoader([1]).__iter__).__name__,
    DataLoader([1]).__iter__.__func__ is DataLoader.__iter__,
)
print([name for name, _ in inspect.getmembers(DataLoader, inspect.isfunction)])
