"""Records of contract/finding.py to JSON and back without loss: what one machine found, another puts together.

The report is written for people and programs and rounds; this does not.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_T = TypeVar("_T")
_UNIONS = (Union, types.UnionType)


def told(value: object) -> object:
    """Return a record as what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: told(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: told(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [told(item) for item in value]
    return value


def read(kind: type[_T], said: object) -> _T:
    """Return the record that JSON holds; raises KeyError, TypeError or ValueError on what is none."""
    return _read(kind, said)  # type: ignore[no-any-return]


def _read(kind: Any, said: Any) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return kind(**{name: _read(hint, said[name]) for name, hint in _hints(kind).items()})
    origin = get_origin(kind)
    if origin in _UNIONS:
        return _chosen(get_args(kind), said)
    if origin is tuple:
        return tuple(_read(get_args(kind)[0], item) for item in said)
    if origin is not None and issubclass(origin, Mapping):
        return {name: _read(get_args(kind)[1], item) for name, item in said.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind[said]
    if kind is datetime:
        return datetime.fromisoformat(said)
    if not isinstance(said, kind) and not (kind is float and isinstance(said, int)):
        raise TypeError(f"{said!r} is no {kind.__name__}")
    return said


def _chosen(kinds: tuple[Any, ...], said: Any) -> Any:
    """Of a union, None is none of the others; those that JSON has itself are as they are."""
    others = [kind for kind in kinds if kind is not types.NoneType]
    if said is None:
        return None
    return _read(others[0], said) if len(others) == 1 else said


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
