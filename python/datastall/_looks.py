# SPDX-License-Identifier: Apache-2.0
"""Looks at objects of the program without running code of theirs.

A property, ``__getattr__``, ``__class__`` or a metaclass may do whatever it likes; the program
would see that somebody asked. So attributes are taken from where objects and classes store them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _core

_type_attributes: Mapping[str, Any] = vars(type)
_mro_of = _type_attributes["__mro__"].__get__
_namespace_of = _type_attributes["__dict__"].__get__
_name_of = _type_attributes["__name__"].__get__
_missing = object()


def mro(kind: type) -> tuple[type, ...]:
    return _mro_of(kind)


def namespace(kind: type) -> Mapping[str, Any]:
    return _namespace_of(kind)


def name_of(kind: type) -> str:
    return _name_of(kind)


def is_a(thing: object, kind: type) -> bool:
    """isinstance() by the type alone."""
    return any(one is kind for one in mro(type(thing)))


def in_class(kind: type, name: str) -> Any:
    """What the classes hold under this name, unbound; None: nothing."""
    for one in mro(kind):
        value = namespace(one).get(name)
        if value is not None:
            return value
    return None


def is_held(thing: object, name: str) -> bool:
    """Whether held() says what is there, be it None."""
    own = _core.attributes(thing)
    if own is not None and dict.__contains__(own, name):
        return True
    for one in mro(type(thing)):
        if name in namespace(one):
            return in_class(type(namespace(one)[name]), "__get__") is None
    return False


def held(thing: object, name: str) -> Any:
    """What an object or else its class holds under this name; None: nothing, or what it would be
    must be computed."""
    own = _core.attributes(thing)
    value = _missing if own is None else dict.get(own, name, _missing)
    if value is not _missing:
        return value
    value = in_class(type(thing), name)
    return None if in_class(type(value), "__get__") is not None else value
