"""The tables as SQLAlchemy sees them: for data definition and for queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from ergaster.contracts.storage import IndexType, Table
from ergaster_support_sql.layout import Layout

__all__ = ["declare_statements", "record_table"]

_TYPES: dict[IndexType, Callable[[], sa.types.TypeEngine[Any]]] = {
    "text": sa.Text,
    "integer": sa.BigInteger,
    "number": sa.Double,
    "boolean": sa.Boolean,
}
"""The column of each index type; `Any` is what its driver gives back, which nobody reads."""


def record_table(layout: Layout, table: Table) -> sa.Table:
    """Return the table that holds a declared table's records.

    Each declared index is a column and an index on (tenant, column, id), which serves both the filter and the order.
    """
    columns = [sa.Column(layout.column(name), _TYPES[kind]()) for name, kind in table.indexes]
    records = sa.Table(
        layout.records(table.name),
        sa.MetaData(schema=layout.schema),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),  # microseconds since 1970, which every engine has
        *columns,
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    for name, _ in table.indexes:
        sa.Index(layout.index(table.name, name), records.c.tenant, records.c[layout.column(name)], records.c.id)
    return records


def declare_statements(
    layout: Layout, known: Table | None, wanted: Table, dialect: sa.Dialect
) -> tuple[Sequence[str], Sequence[str]]:
    """Return what brings a table up to its declaration.

    Args:
        known: The table as the database has it; None when it is not there.
        wanted: The table as it shall be: everything of *known*, and more.

    Returns:
        Statements that create the table or add columns, and statements that create the missing indexes; a backfill
        goes between the two.
    """
    records = record_table(layout, wanted)
    present = {name for name, _ in known.indexes} if known is not None else set()
    missing = [name for name, _ in wanted.indexes if name not in present]
    if known is None:
        columns = [str(CreateTable(records).compile(dialect=dialect))]
    else:
        target = dialect.identifier_preparer.format_table(records)
        columns = [
            f"ALTER TABLE {target} ADD COLUMN {CreateColumn(records.c[layout.column(name)]).compile(dialect=dialect)}"
            for name in missing
        ]
    wanted_names = {layout.index(wanted.name, name) for name in missing}
    indexes = [
        str(CreateIndex(index).compile(dialect=dialect))
        for index in sorted(records.indexes, key=lambda each: str(each.name))
        if index.name in wanted_names
    ]
    return columns, indexes
