"""Nodes of values that are one JSON scalar."""

from __future__ import annotations

import base64
import binascii
import enum
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any

from ergaster.errors import SchemaError
from ergaster.messages import Json
from ergaster.schema.misfits import MAX_DEPTH, Misfit, check_depth, found, listed, misfit
from ergaster.schema.nodes import KIND_OF, Node, Schema
from ergaster.suggestions import did_you_mean

__all__ = ["ANY", "SCALARS", "constants_node", "duration_text", "enum_node", "member_values", "path_node"]

_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
_DATETIME = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt ]{_CLOCK}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(_CLOCK)
_DURATION = re.compile(
    r"(?P<sign>-?)P(?=[0-9T])((?P<weeks>[0-9]{1,9})W)?((?P<days>[0-9]{1,9})D)?"
    r"(T(?=[0-9])((?P<hours>[0-9]{1,9})H)?((?P<minutes>[0-9]{1,9})M)?((?P<seconds>[0-9]{1,12}([.][0-9]{1,6})?)S)?)?"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DECIMAL = re.compile(r"-?[0-9]{1,1000}([.][0-9]{1,1000})?")


def _load_none(value: Json) -> None:
    if value is not None:
        raise misfit(value, "null")


def _load_bool(value: Json) -> bool:
    if value is True or value is False:
        return value
    raise misfit(value, "true or false")


def _load_int(value: Json) -> int:
    if type(value) is int:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():  # JSON Schema: 1.0 is an integer
        return int(value)
    raise misfit(value, "an integer")


def _load_float(value: Json) -> float:
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise misfit(value, "a number below 1.8e308") from None
    raise misfit(value, "a number")


def load_text(value: Json) -> str:
    """Return a text that can be encoded; a lone surrogate is half a character and stops every wire and file."""
    if not isinstance(value, str):
        raise misfit(value, "text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Misfit(f"found half a character (a lone surrogate) at position {error.start}, expected whole text") from None
    return value if type(value) is str else str.__str__(value)


def _parse_duration(match: re.Match[str]) -> timedelta:
    parts = {unit: Decimal(match[unit] or 0) for unit in ("weeks", "days", "hours", "minutes", "seconds")}
    microseconds = int(parts.pop("seconds") * 1_000_000)
    value = timedelta(**{unit: int(number) for unit, number in parts.items()}, microseconds=microseconds)
    return -value if match["sign"] else value


def duration_text(value: timedelta) -> str:
    """Write a duration in ISO 8601, exactly."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    fraction = f".{value.microseconds:06d}" if value.microseconds else ""
    return f"{sign}P{value.days}DT{value.seconds}{fraction}S"


def _load_bytes(value: Json) -> bytes:
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise misfit(value, "bytes as base64 text")


def path_node(kind: type[PurePath] = Path) -> Node:
    """Return the node of a path."""

    def load(value: Json) -> PurePath:
        text = load_text(value)
        if "\0" in text:
            raise Misfit("found a path with a NUL character, expected one without")
        return kind(text)

    return Node(
        load=load,
        schema=lambda _: {"type": "string", "format": "path"},
        expected="the text of a path",
        kinds=frozenset({"string"}),
        rank=3,
    )


def _load_any(value: Json) -> Json:
    check_depth(value, MAX_DEPTH)
    pending: list[tuple[list[str | int], Json]] = [([], value)]
    problems = []
    while pending:
        steps, item = pending.pop()
        if isinstance(item, dict):
            for key, child in item.items():
                if not isinstance(key, str):
                    problems.append((steps, f"found a key that is {found(key)}, expected text"))
                pending.append(([str(key), *steps], child))
        elif isinstance(item, list | tuple):
            pending.extend(([index, *steps], child) for index, child in enumerate(item))
        elif isinstance(item, float) and not math.isfinite(item):
            problems.append((steps, f"found {found(item)}, expected a finite number"))
        elif not isinstance(item, str | int | float | None):
            problems.append((steps, f"found {found(item)}, expected a JSON value"))
    if problems:
        raise Misfit(problems=problems)
    return value


def _scalar(load: Callable[[Json], object], expected: str, kind: str, *, rank: int = 2, **keywords: Json) -> Node:
    schema: Schema = {"type": kind, **keywords}
    return Node(load=load, schema=lambda _: dict(schema), expected=expected, kinds=frozenset({kind}), rank=rank)


def _written(grammar: re.Pattern[str], parse: Callable[[re.Match[str]], object], expected: str, **keywords: Json) -> Node:
    """Return the node of a value that is text with a grammar."""

    def load(value: Json) -> object:
        if isinstance(value, str) and (match := grammar.fullmatch(value)):
            try:
                return parse(match)
            except (ValueError, OverflowError):
                pass
        raise misfit(value, expected)

    return _scalar(load, expected, "string", rank=1, **keywords)


def _iso(match: re.Match[str]) -> str:
    return match[0].upper().replace(" ", "T")


ANY = Node(
    load=_load_any,
    schema=lambda _: {},
    expected="a JSON value",
    kinds=frozenset(KIND for KIND in ("null", "boolean", "integer", "number", "string", "array", "object")),
    rank=4,
)

SCALARS: Mapping[object, Node] = {
    type(None): _scalar(_load_none, "null", "null"),
    None: _scalar(_load_none, "null", "null"),
    bool: _scalar(_load_bool, "true or false", "boolean"),
    int: _scalar(_load_int, "an integer", "integer"),
    float: _scalar(_load_float, "a number", "number"),
    str: _scalar(load_text, "text", "string"),
    datetime: _written(
        _DATETIME,
        lambda match: datetime.fromisoformat(_iso(match)),
        "a date and time as text like '2025-01-31T09:30:00+00:00'",
        format="date-time",
    ),
    date: _written(_DATE, lambda match: date.fromisoformat(match[0]), "a date as text like '2025-01-31'", format="date"),
    time: _written(_TIME, lambda match: time.fromisoformat(_iso(match)), "a time as text like '09:30:00'", format="time"),
    timedelta: _written(_DURATION, _parse_duration, "a duration as ISO 8601 text like 'PT1H30M'", format="duration"),
    uuid.UUID: _written(
        _UUID, lambda match: uuid.UUID(match[0]), "a UUID as text like '123e4567-e89b-12d3-a456-426614174000'", format="uuid"
    ),
    Decimal: _written(
        _DECIMAL, lambda match: Decimal(match[0]), "a decimal number as text like '19.99'", pattern=f"^{_DECIMAL.pattern}$"
    ),
    bytes: _scalar(_load_bytes, "bytes as base64 text", "string", rank=3, contentEncoding="base64"),
    Any: ANY,
    object: ANY,
}


def constants_node(pairs: Iterable[tuple[Json, object]], description: str = "") -> Node:
    """Return the node of a closed list of JSON scalars, each beside its Python value."""
    values: dict[tuple[type, Json], object] = {}
    for shown, value in pairs:
        plain = next((kind for kind in (bool, str, int, float) if isinstance(shown, kind)), None)
        values[(type(None), None) if plain is None else (plain, plain(shown))] = value
    shown = [value for _, value in values]
    names = [found(value).removeprefix("the text ").removeprefix("the number ") for value in shown]
    expected = names[0] if len(names) == 1 else f"one of {listed(names)}"
    texts = [value for value in shown if isinstance(value, str)]
    kinds = frozenset(KIND_OF[kind] for kind, _ in values)

    def load(value: Json) -> object:
        kind: type = type(value)
        if kind is float and value.is_integer():  # JSON knows one number 1, with and without a point
            kind, value = (float, value) if (float, value) in values else (int, int(value))
        elif kind is int and (int, value) not in values:
            kind = float
        try:
            return values[kind, value]
        except (KeyError, TypeError):
            near = did_you_mean(value, texts) if isinstance(value, str) else ""
            raise Misfit(f"found {found(value)}, expected {expected}{near}") from None

    def schema(_: object) -> Schema:
        written: Schema = {"type": next(iter(kinds))} if len(kinds) == 1 else {}
        written["enum"] = list(shown)
        if description:
            written["description"] = description
        return written

    return Node(load=load, schema=schema, expected=expected, kinds=kinds, rank=0, constants=values)


def member_values(kind: type[enum.Enum]) -> dict[str, Json]:
    """Return what stands for each member in JSON, by member name: the values when all are scalars, else the names."""
    values = {member.name: member.value for member in kind}
    scalars = all(
        isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)) for value in values.values()
    )
    if scalars and len({(type(value), value) for value in values.values()}) == len(values):
        return values
    return {name: name for name in values}


def enum_node(kind: type[enum.Enum], description: str) -> Node:
    """Return the node of an enumeration."""
    values = member_values(kind)
    if not values:
        raise SchemaError(f"the enumeration {kind.__name__} has no members; give it at least one")
    return constants_node([(value, kind[name]) for name, value in values.items()], description)
