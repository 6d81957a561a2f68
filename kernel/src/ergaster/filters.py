"""The filter tree that every storage can execute: equality, membership, range, and their conjunction."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

__all__ = ["And", "Eq", "Filter", "In", "Range", "Scalar", "matches"]

Scalar: TypeAlias = str | int | float | bool
"""What an index holds; times are stored as ISO 8601 text in UTC, which sorts as time does."""


@frozen
class Eq:
    """The field equals the value; `None` finds records in which the field is absent or null."""

    field: str
    value: Scalar | None


@frozen
class In:
    """The field equals one of the values; no values, no records."""

    field: str
    values: tuple[Scalar, ...]


@frozen
class Range:
    """The field lies between bounds; a bound that is None is open. A record without the field never matches."""

    field: str
    ge: Scalar | None = None
    gt: Scalar | None = None
    le: Scalar | None = None
    lt: Scalar | None = None


@frozen
class And:
    """All of the filters hold; no filters hold always."""

    filters: tuple[Filter, ...]


Filter: TypeAlias = Eq | In | Range | And


def matches(where: Filter | None, value: dict[str, object]) -> bool:
    """Say whether a record's value passes the filter: the reference semantics, for stores that filter in Python.

    Values of another type than the filter's never match, and a bool is no number.
    """
    match where:
        case None:
            return True
        case And(filters):
            return all(matches(each, value) for each in filters)
        case Eq(name, wanted):
            return _same(value.get(name), wanted)
        case In(name, wanted_values):
            return any(_same(value.get(name), wanted) for wanted in wanted_values)
        case Range():
            return _in_range(where, value.get(where.field))


def _same(found: object, wanted: object) -> bool:
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _in_range(where: Range, found: object) -> bool:
    if found is None or isinstance(found, bool):
        return False
    bounds = [(where.ge, "ge"), (where.gt, "gt"), (where.le, "le"), (where.lt, "lt")]
    for bound, kind in bounds:
        if bound is None:
            continue
        if isinstance(bound, bool) or isinstance(found, str) != isinstance(bound, str):
            return False
        below, equal = found < bound, found == bound  # type: ignore[operator]  # both str or both numbers, as checked above
        if (kind[0] == "g" and (below or (equal and kind == "gt"))) or (
            kind[0] == "l" and (not (below or equal) or (equal and kind == "lt"))
        ):
            return False
    return True
