# SPDX-License-Identifier: Apache-2.0
"""What a stand-in looks like to pickle, copy, inspect and everybody else."""

import copy
import dis
import functools
import inspect
import io
import pickle
import pydoc
import re
import types
import typing
import weakref

from torch.utils.data import _utils, dataloader
from torch.utils.data.dataloader import DataLoader

base = dataloader._BaseDataLoaderIter
functions = [
    DataLoader.__init__,
    DataLoader.__iter__,
    base.__init__,
    base.__next__,
    base._next_index,
    dataloader._SingleProcessDataLoaderIter.__init__,
    dataloader._MultiProcessingDataLoaderIter.__init__,
    dataloader._MultiProcessingDataLoaderIter._try_get_data,
    dataloader._DatasetKind.create_fetcher,
    _utils.fetch._MapDatasetFetcher.fetch,
    _utils.fetch._IterableDatasetFetcher.fetch,
    _utils.pin_memory.pin_memory,
]


def shown(value: object) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", repr(value))


for function in functions:
    print(shown(function), str(function) == repr(function))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(function, protocol)
        print(protocol, data, pickle.loads(data) is function)
    print(pickle._dumps(function) == pickle.dumps(function))
    print(copy.copy(function) is function, copy.deepcopy(function) is function)
    print(copy.deepcopy([function, {"f": function}])[0] is function)
    print(
        inspect.isfunction(function), isinstance(function, types.FunctionType), callable(function)
    )
    print(inspect.isroutine(function), inspect.ismethod(function), inspect.isbuiltin(function))
    print(inspect.ismethoddescriptor(function), inspect.isdatadescriptor(function))
    print(inspect.signature(function), inspect.getfullargspec(function))
    print(len(inspect.getsource(function)), inspect.getsourcelines(function)[1])
    print(inspect.unwrap(function) is function, hasattr(function, "__wrapped__"))
    print(inspect.getmodule(function), sorted(inspect.getclosurevars(function).globals))
    print(function.__module__, function.__qualname__, function.__name__, function.__class__)
    print(function.__defaults__, function.__kwdefaults__, sorted(function.__annotations__))
    print(
        len(function.__closure__ or ()),
        function.__dict__,
        vars(function),
        function.__globals__["__name__"],
    )
    print(function.__code__.co_argcount, function.__code__.co_firstlineno, function.__doc__)
    print(sorted(dir(function)), [name for name in dir(function) if not hasattr(function, name)])
    print(
        hash(function) == hash(function),
        function == function,
        function.__hash__() == hash(function),
    )
    print(weakref.ref(function)() is function, len({function, function}))
    print(function.__eq__(function), function.__ne__(function), bool(function))
    print(sorted(typing.get_type_hints(base._next_index)))
    text = io.StringIO()
    dis.dis(function, file=text)
    print(len(text.getvalue().splitlines()))
    print(shown(pydoc.render_doc(function, renderer=pydoc.plaintext)))

    @functools.wraps(function)
    def wrapper(*args: object) -> None:
        pass

    print(wrapper.__qualname__, wrapper.__wrapped__ is function, inspect.signature(wrapper))
    print(functools.partial(function, 1).func is function)
    clone = types.FunctionType(
        function.__code__,
        function.__globals__,
        "clone",
        function.__defaults__,
        function.__closure__,
    )
    print(clone.__name__, clone.__code__ is function.__code__)
    print(shown(function.__get__(3)), function.__get__(None, int) is function)
    print(function.__get__(3).__func__ is function, inspect.ismethod(function.__get__(3)))

print(shown(pydoc.render_doc(DataLoader, renderer=pydoc.plaintext)))
for owner in (DataLoader, base, _utils.fetch._MapDatasetFetcher):
    print(shown(sorted(inspect.getmembers(owner, inspect.isfunction))))
    print(shown([(a.name, a.kind, a.defining_class) for a in inspect.classify_class_attrs(owner)]))
    print(shown(sorted(vars(owner))))
