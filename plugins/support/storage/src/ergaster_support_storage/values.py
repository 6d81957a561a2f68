"""A record's value as JSON text, and the fields of it that are indexed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import cast

from ergaster.contracts.storage import IndexType, Table
from ergaster.errors import InvalidInput, StorageCorrupt, ValueTooLarge
from ergaster.filters import Scalar
from ergaster.messages import JsonObject
from ergaster_support_storage.checks import INTEGER_MAX, INTEGER_MIN

__all__ = ["decode_value", "encode_value", "index_values"]

_DEPTH = 200
"""How deep a value may be nested: far below what the JSON parser can read back from a deep call stack."""


def encode_value(table: Table, value: JsonObject, *, limit: int) -> tuple[str, tuple[Scalar | None, ...]]:
    """Return the value as ASCII JSON text, and its indexed fields in the order of the table's indexes.

    Raises:
        InvalidInput: If *value* is no JSON object, is nested deeper than 200, or an indexed field has another type than
            declared.
        ValueTooLarge: If the text is longer than *limit* bytes.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(f"a record of table {table.name!r} must be a JSON object, not {type(value).__name__}")
    try:
        text = _ENCODER.encode(value if isinstance(value, dict) else dict(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the value for table {table.name!r} cannot be written as JSON: {error}") from error
    if len(text) > limit:
        raise ValueTooLarge(f"the value for table {table.name!r} has {len(text)} bytes as JSON; the limit is {limit}")
    if text.count("[") + text.count("{") > _DEPTH and _depth(text) > _DEPTH:
        raise InvalidInput(f"the value for table {table.name!r} is nested deeper than {_DEPTH}; flatten it")
    return text, index_values(table, value)


def index_values(table: Table, value: JsonObject) -> tuple[Scalar | None, ...]:
    """Return the indexed fields of a value, None where a field is absent or null.

    Raises:
        InvalidInput: If a field has another type than declared; all such fields at once.
    """
    found = tuple(value.get(name) for name, _ in table.indexes)
    problems = [
        f"{name}: expected {_EXPECTED[kind]}, found {_describe(field)}"
        for (name, kind), field in zip(table.indexes, found, strict=True)
        if field is not None and not _fits(kind, field)
    ]
    if problems:
        raise InvalidInput(f"a value does not fit the indexes of table {table.name!r}", problems=problems)
    return found


def decode_value(text: str) -> JsonObject:
    """Return the value of a stored text.

    Raises:
        StorageCorrupt: If it is no JSON object.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise StorageCorrupt(f"a stored value is no JSON: {error}; restore the database from a backup") from error
    if not isinstance(value, dict):
        raise StorageCorrupt("a stored value is no JSON object; restore the database from a backup")
    return cast("JsonObject", value)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain)

_EXPECTED: dict[IndexType, str] = {
    "text": "text",
    "integer": "a whole number of 64 bits",
    "number": "a number that a double holds exactly",
    "boolean": "true or false",
}


def _describe(field: object) -> str:
    text = repr(field)
    return f"{type(field).__name__} {text if len(text) <= 40 else text[:37] + '...'}"


def _fits(kind: IndexType, field: object) -> bool:
    match kind:
        case "text":
            return isinstance(field, str)
        case "boolean":
            return isinstance(field, bool)
        case "integer":
            return isinstance(field, int) and not isinstance(field, bool) and INTEGER_MIN <= field <= INTEGER_MAX
        case "number":
            return _is_double(field)


def _is_double(field: object) -> bool:
    if isinstance(field, bool) or not isinstance(field, int | float):
        return False
    try:
        return math.isfinite(field) and float(field) == field
    except OverflowError:
        return False


def _depth(text: str) -> int:
    """Return how deep JSON text is nested; brackets within strings do not count."""
    depth = deepest = 0
    quoted = escaped = False
    for character in text:
        if quoted:
            quoted, escaped = character != '"' or escaped, character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
