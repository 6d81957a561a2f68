"""The storage: checks what it is given and hands it to the threads of its database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from ergaster.contracts.storage import Entry, Order, Page, Record, Storage, Table
from ergaster.errors import InvalidOption, Unsupported
from ergaster.filters import Filter
from ergaster.messages import JsonObject
from ergaster_sqlite import operations
from ergaster_sqlite.database import Database, acquire, release
from ergaster_sqlite.sessions import Operation
from ergaster_sqlite.settings import MEMORY, SqliteSettings, database_path
from ergaster_support_sql import LaneClosed
from ergaster_support_storage import (
    check_bounds,
    check_entries,
    check_name,
    check_query,
    check_table,
    check_version,
    encode_value,
)

__all__ = ["SqliteStorage"]


class SqliteStorage(Storage):
    """Records and streams in one SQLite file.

    Storages on one file share one writer thread per process, whatever the number of event loops. A process may fork;
    several processes may use the file at once.

    Args:
        address: `sqlite:///agents.db`, `sqlite:////absolute/agents.db`, `sqlite:///:memory:` (a database of its own for
            each object, gone when it is closed), or a path.
        settings: The options.

    Raises:
        InvalidOption: If the address names no file.
    """

    def __init__(self, address: str, settings: SqliteSettings | None = None) -> None:
        self._path = database_path(address)
        self._settings = settings if settings is not None else SqliteSettings()
        self._settings.layout()
        if self._path == MEMORY and self._settings.read_only:
            raise InvalidOption("a database in memory is empty, so read_only makes no sense", kind="storage", name="sqlite")
        self._database: Database | None = None

    def __repr__(self) -> str:
        return f"SqliteStorage({self._path!r})"

    async def open(self) -> None:
        """Connect and bring the schema up to date; the first call does it, too."""
        await self._opened()

    async def close(self) -> None:
        """Finish pending writes; the last storage of a file ends its threads."""
        database, self._database = self._database, None
        if database is not None:
            await release(database)

    async def put(self, table: Table, tenant: str, id: str, value: JsonObject, *, if_version: int | None = None) -> int:
        """Write a record and return its new version."""
        _check_record(table, tenant, id, if_version)
        text, indexed = encode_value(table, value, limit=self.max_value_bytes)
        return int(await self._write(operations.put(table, tenant, id, text, indexed, if_version)))

    async def get(self, table: Table, tenant: str, id: str) -> Record | None:
        """Return the record, or None."""
        _check_record(table, tenant, id, None)
        found: Record | None = await self._read(operations.get(Table(table.name), tenant, id))
        return found

    async def delete(self, table: Table, tenant: str, id: str, *, if_version: int | None = None) -> bool:
        """Remove a record and say whether it was there."""
        _check_record(table, tenant, id, if_version)
        return bool(await self._write(operations.delete(table, tenant, id, if_version)))

    async def query(
        self,
        table: Table,
        tenant: str,
        *,
        where: Filter | None = None,
        order: Order | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """Return a page of the tenant's records that pass *where*, by *order*."""
        check_name("tenant", tenant)
        asked = check_query(table, tenant, where=where, order=order, limit=limit, cursor=cursor)
        page: Page | None = await self._read(operations.query(tenant, asked))
        if page is None:
            if self._settings.read_only:
                raise Unsupported(
                    f"table {table.name!r} lacks an index and read_only forbids to add it; open it once for writing"
                )
            await self._write(operations.declare(table))
            page = await self._read(operations.query(tenant, asked))
        return page if page is not None else Page(())

    async def append(self, tenant: str, stream: str, data: Sequence[str], *, expected_seq: int | None = None) -> int:
        """Append entries, all or none, and return the last entry's number."""
        _check_stream(tenant, stream)
        check_version("expected_seq", expected_seq)
        entries = check_entries(data, limit=self.max_value_bytes)
        last = int(await self._write(operations.append(tenant, stream, entries, expected_seq)))
        if self._database is not None:
            self._database.watchers.wake(tenant, stream)
        return last

    async def read(
        self,
        tenant: str,
        stream: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 1000,
        newest_first: bool = False,
    ) -> Sequence[Entry]:
        """Return up to *limit* entries numbered above *after* and below *before*."""
        _check_stream(tenant, stream)
        after, before, limit = check_bounds(after, before, limit)
        entries: Sequence[Entry] = await self._read(operations.read(tenant, stream, after, before, limit, newest_first))
        return entries

    async def last_seq(self, tenant: str, stream: str) -> int:
        """Return the number of the last entry, 0 for an unknown stream."""
        _check_stream(tenant, stream)
        return int(await self._read(operations.last_seq(tenant, stream)))

    async def drop(self, tenant: str, stream: str) -> None:
        """Remove a stream; an unknown one is no error."""
        _check_stream(tenant, stream)
        await self._write(operations.drop(tenant, stream))

    async def tail(self, tenant: str, stream: str, *, after: int = 0) -> AsyncIterator[Entry]:
        """Yield entries above *after* as they appear; another process' within `poll_interval`."""
        while True:
            database = await self._opened()
            with database.watchers.watch(tenant, stream) as grown:
                generation = await self._generation(database)
                entries = await self.read(tenant, stream, after=after)
                for entry in entries:
                    yield entry
                    after = entry.seq
                while not entries and not grown.is_set() and await self._generation(database) == generation:
                    # Not asyncio.wait_for: until Python 3.12 it swallows a cancellation that comes together with the event.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self.poll_interval / 2):
                            await grown.wait()

    async def _generation(self, database: Database) -> int:
        try:
            return await database.generation(self.poll_interval / 2)
        except LaneClosed:
            return -1

    async def _opened(self) -> Database:
        database = self._database
        if database is None or database.is_closed:
            database = self._database = acquire(self._path, self._settings)
        if not database.is_open:
            await database.open()
        return database

    async def _write(self, operation: Operation) -> Any:
        if self._settings.read_only:
            raise Unsupported(f"{self._path} is open with read_only; open it without to write")
        while True:
            database = await self._opened()
            try:
                return await database.writer.call(operation)
            except LaneClosed:
                continue

    async def _read(self, operation: Operation) -> Any:
        while True:
            database = await self._opened()
            try:
                return await database.reader.call(operation)
            except LaneClosed:
                continue


def _check_record(table: Table, tenant: str, id: str, if_version: int | None) -> None:
    check_table(table)
    check_name("tenant", tenant)
    check_name("id", id)
    check_version("if_version", if_version)


def _check_stream(tenant: str, stream: str) -> None:
    check_name("tenant", tenant)
    check_name("stream", stream)
