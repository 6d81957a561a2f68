"""What the storage does with a session: each function returns one operation for a thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ergaster.contracts.storage import Entry, Page, Record, Table
from ergaster.errors import StorageConflict
from ergaster.filters import Scalar
from ergaster_sqlite.sessions import Operation, SqliteSession
from ergaster_sqlite.tables import declare_table, stored_indexes
from ergaster_support_sql import RecordStatements
from ergaster_support_storage import Query, decode_value, encode_cursor, index_values

__all__ = ["append", "declare", "delete", "drop", "get", "last_seq", "put", "query", "read"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def append(tenant: str, stream: str, entries: Sequence[str], expected_seq: int | None) -> Operation:
    """Return the operation that appends entries and returns the last number."""

    def run(session: SqliteSession) -> int:
        execute, statements = session.connection.execute, session.streams
        found = execute(statements.find, (tenant, stream)).fetchone()
        last = int(found[1] or 0) if found is not None else 0
        if expected_seq is not None and expected_seq != last:
            raise StorageConflict(
                f"stream {stream!r} ends at {last}, not at {expected_seq}; read the new entries and try again",
                expected=expected_seq,
                actual=last,
            )
        if not entries:
            return last
        number = found[0] if found is not None else execute(statements.create, (tenant, stream)).lastrowid
        if len(entries) == 1:
            execute(statements.insert, (number, last + 1, entries[0]))
        else:
            rows = [(number, seq, data) for seq, data in enumerate(entries, last + 1)]
            session.connection.executemany(statements.insert, rows)
        return last + len(entries)

    return run


def read(tenant: str, stream: str, after: int, before: int, limit: int, newest_first: bool) -> Operation:
    """Return the operation that reads entries."""

    def run(session: SqliteSession) -> tuple[Entry, ...]:
        statement = session.streams.read_newest if newest_first else session.streams.read
        rows = session.connection.execute(statement, (tenant, stream, after, before, limit))
        return tuple(Entry(seq, data) for seq, data in rows)

    return run


def last_seq(tenant: str, stream: str) -> Operation:
    """Return the operation that finds the number of the last entry."""

    def run(session: SqliteSession) -> int:
        (last,) = session.connection.execute(session.streams.last, (tenant, stream)).fetchone()
        return last or 0

    return run


def drop(tenant: str, stream: str) -> Operation:
    """Return the operation that removes a stream."""

    def run(session: SqliteSession) -> None:
        session.connection.execute(session.streams.drop_entries, (tenant, stream))
        session.connection.execute(session.streams.drop_stream, (tenant, stream))

    return run


def declare(table: Table) -> Operation:
    """Return the operation that makes sure that a table is there with its indexes."""

    def run(session: SqliteSession) -> None:
        declare_table(session, table)

    return run


def put(table: Table, tenant: str, id: str, text: str, indexed: tuple[Scalar | None, ...], if_version: int | None) -> Operation:
    """Return the operation that writes a record and returns its new version."""

    def run(session: SqliteSession) -> int:
        statements = _declared(session, table)
        execute = session.connection.execute
        found = execute(statements.find, (tenant, id)).fetchone()
        version = found[0] if found is not None else 0
        if if_version is not None and if_version != version:
            raise _conflict(table, id, if_version, version)
        values = indexed if statements.table == table else index_values(statements.table, decode_value(text))
        stored, now = stored_indexes(values), time.time_ns() // 1000
        if found is None:
            execute(statements.insert, (text, version + 1, now, *stored, tenant, id))
        else:
            # SQLite writes the index of every column that a statement names, changed or not.
            changed = tuple(place for place, value in enumerate(stored) if value != found[place + 1])
            new = [stored[place] for place in changed]
            execute(statements.update(changed), (text, version + 1, now, *new, tenant, id))
        return int(version + 1)

    return run


def get(table: Table, tenant: str, id: str) -> Operation:
    """Return the operation that reads a record."""

    def run(session: SqliteSession) -> Record | None:
        statements = session.records(table)
        if statements is None:
            return None
        row = session.connection.execute(statements.get, (tenant, id)).fetchone()
        return _record(id, *row) if row is not None else None

    return run


def delete(table: Table, tenant: str, id: str, if_version: int | None) -> Operation:
    """Return the operation that removes a record and says whether it was there."""

    def run(session: SqliteSession) -> bool:
        statements = _declared(session, table)
        found = session.connection.execute(statements.find, (tenant, id)).fetchone()
        if found is None:
            return False
        if if_version is not None and if_version != found[0]:
            raise _conflict(table, id, if_version, found[0])
        session.connection.execute(statements.delete, (tenant, id))
        return True

    return run


def query(tenant: str, asked: Query) -> Operation:
    """Return the operation that reads a page; None stands for a table or an index that is not there yet."""

    def run(session: SqliteSession) -> Page | None:
        from ergaster_support_sql.pages import page_statements

        if session.records(asked.table) is None:
            return None
        statements = page_statements(session.layout, tenant, asked, session.dialect)
        rows: list[tuple[str, str, int, int]] = []
        is_own_snapshot = len(statements) > 1 and not session.connection.in_transaction
        if is_own_snapshot:
            session.begin("BEGIN")
        for statement in statements:
            if len(rows) <= asked.limit:
                rows += session.connection.execute(statement.text, statement.bound(asked.limit + 1 - len(rows))).fetchall()
        if is_own_snapshot:
            session.connection.execute("COMMIT")
        records = tuple(_record(*row) for row in rows[: asked.limit])
        return Page(records, _cursor(asked, records[-1]) if len(rows) > asked.limit else None)

    return run


def _declared(session: SqliteSession, table: Table) -> RecordStatements:
    """Return the statements of a table, which is made when it is not there; runs in the writer's transaction."""
    statements = session.records(table)
    if statements is None:
        declare_table(session, table)
        statements = session.records(table)
    if statements is None:
        raise AssertionError(f"table {table.name!r} was declared and is not there")
    return statements


def _cursor(asked: Query, last: Record) -> str:
    value = last.value.get(asked.order.field) if asked.order is not None else None
    return encode_cursor(asked.fingerprint, value, last.id)


def _record(id: str, text: str, version: int, microseconds: int) -> Record:
    return Record(id, decode_value(text), version, _EPOCH + timedelta(microseconds=microseconds))


def _conflict(table: Table, id: str, expected: int, actual: int) -> StorageConflict:
    return StorageConflict(
        f"record {id!r} of table {table.name!r} has version {actual}, not {expected}; read it and try again",
        expected=expected,
        actual=actual,
    )
