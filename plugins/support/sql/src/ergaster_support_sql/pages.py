"""Queries as bound SQL: filter, order and cursor, compiled once per shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import sqlalchemy as sa
from attrs import frozen

from ergaster.contracts.storage import Table
from ergaster.filters import Scalar
from ergaster_support_sql.comparisons import Comparison, Operator, bound_value, compare
from ergaster_support_sql.layout import Layout
from ergaster_support_sql.schema import record_table
from ergaster_support_sql.text import sortable_text
from ergaster_support_storage import Query

__all__ = ["Statement", "page_statements"]


@frozen
class Statement:
    """SQL text that selects id, value, version and updated_at.

    Attributes:
        text: The text with the driver's marks.
        names: The name of the value at each mark.
        values: The bound values.
    """

    text: str
    names: tuple[str, ...]
    values: Mapping[str, Scalar]

    def bound(self, limit: int) -> tuple[Scalar, ...]:
        """Return the values in the order of their marks, for at most *limit* rows."""
        return tuple(limit if name == _LIMIT else self.values[name] for name in self.names)


_LIMIT = "page_limit"


@frozen
class _Shape:
    """What makes the text of a statement, without its values."""

    layout: Layout
    table: Table
    clauses: tuple[tuple[str, Operator, int], ...]
    order: str | None
    descending: bool
    is_behind: bool


@frozen
class _Part:
    """A part of a page: comparisons more, the field that orders it (None for the id), and behind what it begins."""

    comparisons: tuple[Comparison, ...] = ()
    order: str | None = None
    behind: tuple[Scalar, ...] = ()


def page_statements(layout: Layout, tenant: str, query: Query, dialect: sa.Dialect) -> Sequence[Statement]:
    """Return the statements whose results, one after the other, are the page; none when no record can pass.

    Records without the order's field are a statement of their own: engines disagree on where null sorts, and this way
    each statement walks the index.
    """
    comparisons = compare(query)
    if comparisons is None:
        return ()
    descending = query.order is not None and query.order.descending
    statements = []
    for part in _parts(query):
        every = (*comparisons, *part.comparisons)
        clauses = tuple((each.field, each.operator, len(each.values)) for each in every)
        text, names, literals = _compiled(
            _Shape(layout, query.table, clauses, part.order, descending, bool(part.behind)), dialect
        )
        compared = [value for each in every for value in each.values]
        values = {**literals, "tenant": tenant} | {f"c{number}": value for number, value in enumerate(compared)}
        values |= {f"b{number}": value for number, value in enumerate(part.behind)}
        statements.append(Statement(text, names, values))
    return statements


def _parts(query: Query) -> list[_Part]:
    if query.order is None:
        return [_Part(behind=(sortable_text(query.position[1]),) if query.position is not None else ())]
    name = query.order.field
    absent, present = (Comparison(name, "is null"),), (Comparison(name, "is not null"),)
    if query.position is None:
        parts = [_Part(absent), _Part(present, name)]
        return parts[::-1] if query.order.descending else parts
    value, last = query.position[0], sortable_text(query.position[1])
    if value is None:
        rest = [] if query.order.descending else [_Part(present, name)]
        return [_Part(absent, behind=(last,)), *rest]
    bound = bound_value(dict(query.table.indexes)[name], value)
    rest = [_Part(absent)] if query.order.descending else []
    return [_Part((), name, (bound, last)), *rest]


@lru_cache(maxsize=1024)
def _compiled(shape: _Shape, dialect: sa.Dialect) -> tuple[str, tuple[str, ...], Mapping[str, Scalar]]:
    """Return the text of a statement, the names of its bound values by mark, and the values that the dialect adds."""
    records = record_table(shape.layout, shape.table)
    numbers = iter(range(10_000))
    conditions: list[sa.ColumnElement[bool]] = [records.c.tenant == sa.bindparam("tenant", type_=sa.Text())]
    for name, operator, count in shape.clauses:
        bound: list[sa.BindParameter[object]] = [sa.bindparam(f"c{next(numbers)}") for _ in range(count)]
        conditions.append(_condition(records.c[shape.layout.column(name)], operator, bound))
    order: list[sa.ColumnElement[object]] = [records.c.id.asc()]
    column = records.c[shape.layout.column(shape.order)] if shape.order is not None else None
    if column is not None:
        order.insert(0, column.desc() if shape.descending else column.asc())
    if shape.is_behind and column is not None:
        conditions.extend(_behind(column, records.c.id, shape.descending))
    elif shape.is_behind:
        conditions.append(records.c.id > sa.bindparam("b0"))
    statement = (
        sa.select(records.c.id, records.c.value, records.c.version, records.c.updated_at)
        .where(*conditions)
        .order_by(*order)
        .limit(sa.bindparam(_LIMIT, type_=sa.Integer()))
    )
    compiled = statement.compile(dialect=dialect)
    added = {name: value for name, value in compiled.params.items() if value is not None}
    return str(compiled), tuple(compiled.positiontup or ()), added


def _condition(
    column: sa.ColumnElement[object], operator: Operator, bound: list[sa.BindParameter[object]]
) -> sa.ColumnElement[bool]:
    match operator:
        case "is null":
            return column.is_(None)
        case "is not null":
            return column.is_not(None)
        case "in":
            return column == bound[0] if len(bound) == 1 else column.in_(bound)
        case _:
            return column.op(operator, is_comparison=True)(bound[0])


def _behind(column: sa.ColumnElement[object], id: sa.ColumnElement[str], descending: bool) -> list[sa.ColumnElement[bool]]:
    """Return what holds behind a record: the first condition is one that an index can seek."""
    value: sa.BindParameter[object] = sa.bindparam("b0")
    last: sa.BindParameter[str] = sa.bindparam("b1")
    if descending:
        return [column <= value, sa.or_(column < value, id > last)]
    return [column >= value, sa.or_(column > value, id > last)]
