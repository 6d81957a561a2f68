"""Python values as JSON values."""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import math
import uuid
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from pathlib import PurePath
from typing import Any, TypeAlias

import attrs

from ergaster.messages import Json
from ergaster.schema.containers import load_items, load_pairs
from ergaster.schema.misfits import MAX_DEPTH, Misfit, invalid
from ergaster.schema.scalars import duration_text, member_values

__all__ = ["dump"]

_Dump: TypeAlias = Callable[[Any, int], Json]


def dump(value: object) -> Json:
    """Return a value as JSON: what `Adapter.load` of its type would take.

    Raises:
        InvalidInput: If something in it cannot become JSON; all of it is named.
    """
    try:
        return _dump(value, 0)
    except Misfit as error:
        raise invalid(error, "the value", "the value cannot become JSON") from None


def _dump(value: object, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise Misfit(f"found a value nested more than {MAX_DEPTH} levels deep, or one that contains itself")
    kind: Any = type(value)
    return _dumper(kind)(value, depth)


def _number(value: float, _: int) -> float:
    if not math.isfinite(value):
        raise Misfit(f"found {value!r}, expected a finite number")
    return float(value)


def _items(value: Collection[object], depth: int) -> list[Json]:
    return load_items(value, repeat(lambda item: _dump(item, depth + 1)))


def _members(value: Collection[object], depth: int) -> list[Json]:
    """Write a set in an order that does not change from process to process."""
    items = _items(value, depth)
    try:
        return sorted(items)
    except TypeError:  # values of several kinds
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def _object(pairs: Collection[tuple[object, object]], depth: int) -> dict[str, Json]:
    return load_pairs(pairs, _key, lambda item: _dump(item, depth + 1))


def _key(key: object) -> str:
    name = None if isinstance(key, bool | float) else _dump(key, MAX_DEPTH)
    if not isinstance(name, str | int) or isinstance(name, bool):
        raise Misfit(f"found a key of the type {type(key).__name__}, expected text")
    return str(name)


def _text_of(value: object, _: int) -> str:
    return str(value)


@lru_cache(maxsize=1024)
def _dumper(kind: Any) -> _Dump:
    """Return how to write the instances of a class; exact types come before their bases."""
    if (known := _KNOWN.get(kind)) is not None:
        return known
    if issubclass(kind, enum.Enum):
        values = member_values(kind)
        return lambda value, depth: _dump(values[value.name], depth) if value.name in values else _refuse(value, depth)
    if attrs.has(kind):
        return _fields_dumper([(item.alias or item.name, item.name) for item in attrs.fields(kind) if item.init])
    if dataclasses.is_dataclass(kind):
        return _fields_dumper([(item.name, item.name) for item in dataclasses.fields(kind) if item.init])
    if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_dump"):
        return lambda value, depth: _dump(value.model_dump(mode="json", by_alias=True), depth)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _fields_dumper([(name, name) for name in kind._fields])
    for base, known in _BASES:
        if issubclass(kind, base):
            return known
    return _refuse


def _fields_dumper(names: list[tuple[str, str]]) -> _Dump:
    return lambda value, depth: _object([(key, getattr(value, name)) for key, name in names], depth)


def _refuse(value: object, _: int) -> Json:
    raise Misfit(
        f"found a {type(value).__module__}.{type(value).__qualname__}, which cannot become JSON; "
        "return text, plain values, or an attrs class, dataclass or pydantic model"
    )


_KNOWN: Mapping[type, _Dump] = {
    type(None): lambda value, _: value,
    bool: lambda value, _: value,
    int: lambda value, _: value,
    str: lambda value, _: value,
    float: _number,
    list: _items,
    tuple: _items,
    dict: lambda value, depth: _object(value.items(), depth),
}

_BASES: tuple[tuple[type, _Dump], ...] = (
    (str, lambda value, _: str.__str__(value)),
    (int, lambda value, _: int(value)),
    (float, _number),
    (datetime, lambda value, _: value.isoformat()),
    (date, lambda value, _: value.isoformat()),
    (time, lambda value, _: value.isoformat()),
    (timedelta, lambda value, _: duration_text(value)),
    (uuid.UUID, _text_of),
    (PurePath, _text_of),
    (Decimal, lambda value, _: format(value, "f") if value.is_finite() else _refuse(value, 0)),
    (bytes, lambda value, _: base64.b64encode(value).decode("ascii")),
    (bytearray, lambda value, _: base64.b64encode(value).decode("ascii")),
    (Mapping, lambda value, depth: _object(value.items(), depth)),
    (AbstractSet, _members),
    (Collection, _items),
)
