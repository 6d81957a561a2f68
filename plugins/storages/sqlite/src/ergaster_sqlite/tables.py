"""Declared tables: finding them in the catalogue, and creating what is missing."""
# ruff: noqa: S608  # names come from the layout and from checked tables, which let only identifiers through

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, cast

from ergaster.contracts.storage import IndexType, Table
from ergaster.errors import InvalidInput
from ergaster.filters import Scalar
from ergaster_support_sql import Layout, sortable_text
from ergaster_support_storage import index_values

if TYPE_CHECKING:
    from ergaster_sqlite.sessions import SqliteSession

__all__ = ["declare_table", "find_table", "stored_indexes"]


def find_table(connection: sqlite3.Connection, layout: Layout, table: Table) -> Table | None:
    """Return the table with every index that the database has, or None when it has no such table.

    Raises:
        InvalidInput: If the database has an index with another type, or a table whose name differs in case only.
    """
    rows = connection.execute(
        f"SELECT name, field, type FROM {layout.catalogue} WHERE lower(name) = lower(?) ORDER BY rowid", (table.name,)
    ).fetchall()
    if not rows:
        return None
    if rows[0][0] != table.name:
        raise InvalidInput(f"table {table.name!r} differs from {rows[0][0]!r} only in case; use one name")
    found = {field: cast("IndexType", kind) for _, field, kind in rows if field}
    spellings = {field.lower(): field for field in found}
    for field, kind in table.indexes:
        if found.get(field, kind) != kind:
            raise InvalidInput(
                f"index {field!r} of table {table.name!r} is {found[field]} and cannot become {kind}; use another field"
            )
        if spellings.get(field.lower(), field) != field:
            raise InvalidInput(
                f"index {field!r} of table {table.name!r} differs from {spellings[field.lower()]!r} only in case; use one name"
            )
    return Table(table.name, tuple(found.items()))


def declare_table(session: SqliteSession, table: Table) -> None:
    """Create the table, or the indexes that it lacks, and fill them; runs in the writer's transaction.

    Raises:
        InvalidInput: If an index contradicts what the database has, or a record does not fit a new index.
    """
    from ergaster_support_sql.schema import declare_statements

    known = find_table(session.connection, session.layout, table)
    present = known.indexes if known is not None else ()
    missing = tuple(index for index in table.indexes if index not in present)
    if known is not None and not missing:
        return
    wanted = Table(table.name, (*present, *missing))
    columns, indexes = declare_statements(session.layout, known, wanted, session.dialect)
    for statement in columns:
        session.connection.execute(statement)
    if known is not None:
        _backfill(session, Table(table.name, missing))
    for statement in indexes:
        session.connection.execute(statement)
    rows = [(table.name, *index) for index in missing]
    if known is None:
        rows.insert(0, (table.name, "", "text"))
    session.connection.executemany(f"INSERT INTO {session.layout.catalogue} (name, field, type) VALUES (?, ?, ?)", rows)
    _describe(session, wanted)


def stored_indexes(values: tuple[Scalar | None, ...]) -> tuple[Scalar | None, ...]:
    """Return the indexed fields as they are stored."""
    return tuple(sortable_text(value) if isinstance(value, str) else value for value in values)


def _describe(session: SqliteSession, table: Table) -> None:
    """Tell the planner what the tables are like: many records of a tenant, and few of them with one value.

    Without statistics SQLite takes a tenant for the narrowest condition and reads all of its records. Writing them by
    hand is a documented way (https://www.sqlite.org/optoverview.html#manual_control_of_query_plans_using_sqlite_stat_tables);
    an `ANALYZE` by the user replaces them with what it finds.
    """
    records = session.layout.records(table.name)
    session.connection.execute(f"ANALYZE {session.layout.catalogue}")  # makes the table of statistics
    session.connection.execute("DELETE FROM sqlite_stat1 WHERE tbl = ?", (records,))
    statistics = [(records, session.layout.index(table.name, field), "1000000 100000 100 1") for field, _ in table.indexes]
    statistics.append((records, f"sqlite_autoindex_{records}_1", "1000000 100000 1"))
    session.connection.executemany("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", statistics)
    session.connection.execute("ANALYZE sqlite_schema")  # loads them into this connection


def _backfill(session: SqliteSession, added: Table) -> None:
    """Fill the columns of new indexes from the values of the records."""
    records = session.layout.records(added.name)
    assigned = ", ".join(f"{session.layout.column(field)} = ?" for field, _ in added.indexes)
    update = f"UPDATE {records} SET {assigned} WHERE rowid = ?"
    last = 0
    while rows := session.connection.execute(
        f"SELECT rowid, id, value FROM {records} WHERE rowid > ? ORDER BY rowid LIMIT 500", (last,)
    ).fetchall():
        for rowid, id, value in rows:
            try:
                indexed = stored_indexes(index_values(added, json.loads(value)))
            except InvalidInput as error:
                raise InvalidInput(f"record {id!r} stands in the way of a new index", problems=error.problems) from error
            session.connection.execute(update, (*indexed, rowid))
        last = rows[-1][0]
