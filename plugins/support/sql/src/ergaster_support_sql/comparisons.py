"""Filters as comparisons that an engine with typed columns executes exactly as `ergaster.filters.matches` does."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from attrs import frozen

from ergaster.contracts.storage import IndexType
from ergaster.filters import Eq, In, Range, Scalar
from ergaster_support_sql.text import sortable_text
from ergaster_support_storage import INTEGER_MAX, INTEGER_MIN, Query

__all__ = ["Comparison", "Operator", "bound_value", "compare"]

Operator: TypeAlias = Literal["is null", "is not null", "in", "<", "<=", ">", ">="]


@frozen
class Comparison:
    """One comparison of an indexed field with bound values; none for the two null tests."""

    field: str
    operator: Operator
    values: tuple[Scalar, ...] = ()


def compare(query: Query) -> tuple[Comparison, ...] | None:
    """Return the comparisons of a query's filter, or None when no record can pass.

    A value of another type than the index's never matches. Numbers are compared exactly: a bound that the column's
    type cannot hold becomes the nearest one that selects the same records.
    """
    types = dict(query.table.indexes)
    comparisons: list[Comparison] = []
    for condition in query.conditions:
        kind = types[condition.field]
        match condition:
            case Eq(name, None):
                comparisons.append(Comparison(name, "is null"))
            case Eq(name, value):
                comparisons.append(Comparison(name, "in", _choices(kind, (value,))))
            case In(name, values):
                comparisons.append(Comparison(name, "in", _choices(kind, values)))
            case Range():
                found = _range(condition, kind)
                if found is None:
                    return None
                comparisons.extend(found)
    if any(each.operator == "in" and not each.values for each in comparisons):
        return None
    return tuple(comparisons)


def bound_value(kind: IndexType, value: Scalar) -> Scalar:
    """Return a value of the index's type as it is stored in its column."""
    if kind == "text":
        return sortable_text(str(value))
    return float(value) if kind == "number" else value


def _choices(kind: IndexType, values: tuple[Scalar | None, ...]) -> tuple[Scalar, ...]:
    """Return those of the values that a column of this type can hold, as they are stored, each once."""
    found: dict[Scalar, None] = {}
    stored: Scalar | None
    for value in values:
        if isinstance(value, bool):
            stored = value if kind == "boolean" else None
        elif isinstance(value, str):
            stored = bound_value(kind, value) if kind == "text" else None
        else:
            stored = _exact(kind, value) if value is not None and kind in {"integer", "number"} else None
        if stored is not None:
            found[stored] = None
    return tuple(found)


def _exact(kind: IndexType, value: float) -> Scalar | None:
    """Return the number as its column's type, or None when the column cannot hold it."""
    if not isinstance(value, int) and not math.isfinite(value):
        return None
    if kind == "integer":
        whole = int(value)
        return whole if whole == value and INTEGER_MIN <= whole <= INTEGER_MAX else None
    try:
        double = float(value)
    except OverflowError:
        return None
    return double if double == value else None


def _range(condition: Range, kind: IndexType) -> list[Comparison] | None:
    """Return the comparisons of a range; None when nothing lies in it."""
    if kind == "boolean":
        return None
    bounds: list[tuple[Operator, Scalar | None]] = [
        (">=", condition.ge),
        (">", condition.gt),
        ("<=", condition.le),
        ("<", condition.lt),
    ]
    comparisons = [Comparison(condition.field, "is not null")]
    for operator, bound in bounds:
        if bound is None:
            continue
        if isinstance(bound, bool) or isinstance(bound, str) != (kind == "text"):
            return None
        if isinstance(bound, str):
            comparisons.append(Comparison(condition.field, operator, (sortable_text(bound),)))
            continue
        found = _number_bound(condition.field, operator, bound, kind)
        if found is None:
            return None
        comparisons.extend(found)
    return comparisons


def _number_bound(name: str, operator: Operator, bound: int | float, kind: IndexType) -> list[Comparison] | None:
    exact = _exact(kind, bound)
    if exact is not None:
        return [Comparison(name, operator, (exact,))]
    # The column cannot hold the bound itself, so equality makes no difference: what matters is the next value of the
    # column's type on the side that is looked for, if there is one.
    is_lower = operator in {">", ">="}
    following = _following(kind, bound, above=is_lower)
    if following is None:
        return None if (bound > 0) == is_lower else []
    return [Comparison(name, ">=" if is_lower else "<=", (following,))]


def _following(kind: IndexType, bound: int | float, *, above: bool) -> Scalar | None:
    """Return the nearest value of the column's type above or below *bound*; None when that is out of its range."""
    if kind == "integer":
        if isinstance(bound, float) and math.isinf(bound):
            return None
        whole = math.ceil(bound) if above else math.floor(bound)
        if whole > INTEGER_MAX:
            return None if above else INTEGER_MAX
        if whole < INTEGER_MIN:
            return INTEGER_MIN if above else None
        return whole
    try:
        double = float(bound)
    except OverflowError:
        return None
    if math.isinf(double):
        return None
    if above:
        return double if double > bound else math.nextafter(double, math.inf)
    return double if double < bound else math.nextafter(double, -math.inf)
