"""A storage in the memory of this process."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from attrs import define, field

from ergaster.contracts.storage import Entry, Order, Page, Record, Storage, Table
from ergaster.errors import InvalidInput, StorageConflict
from ergaster.filters import Filter, matches
from ergaster.messages import JsonObject
from ergaster_support_storage import (
    Query,
    Watchers,
    check_bounds,
    check_entries,
    check_name,
    check_query,
    check_table,
    check_version,
    decode_value,
    encode_cursor,
    encode_value,
    index_values,
)

__all__ = ["MemoryStorage"]


@define(eq=False)
class _Row:
    text: str
    indexed: dict[str, object]
    version: int
    updated_at: datetime

    def record(self, id: str) -> Record:
        return Record(id, decode_value(self.text), self.version, self.updated_at)


@define(eq=False)
class _Contents:
    """What a memory holds; the lock is held for the short time of one operation."""

    lock: threading.Lock = field(factory=threading.Lock)
    tables: dict[str, Table] = field(factory=dict)
    rows: dict[tuple[str, str], dict[str, _Row]] = field(factory=dict)
    streams: dict[tuple[str, str], list[str]] = field(factory=dict)
    watchers: Watchers = field(factory=Watchers)


_shared: WeakValueDictionary[str, _Contents] = WeakValueDictionary()
_shared_lock = threading.Lock()


def _contents(name: str) -> _Contents:
    if not name:
        return _Contents()
    with _shared_lock:
        found = _shared.get(name)
        if found is None:
            found = _shared[name] = _Contents()
        return found


@define(eq=False)
class MemoryStorage(Storage):
    """A storage that lives as long as the process; nothing reaches a disk.

    `memory` is a memory of its own for each object. `memory:name` is one memory for all objects of that name in this
    process, for as long as one of them is alive.

    Args:
        ref_rest: The name of a shared memory; empty for one of its own.
    """

    ref_rest: str = ""
    _contents: _Contents = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._contents = _contents(self.ref_rest)

    async def open(self) -> None:
        """Do nothing: a memory is always there."""

    async def close(self) -> None:
        """Do nothing: the contents live as long as the object."""

    async def put(self, table: Table, tenant: str, id: str, value: JsonObject, *, if_version: int | None = None) -> int:
        """Write a record and return its new version."""
        _check(table, tenant, id, if_version)
        text, _ = encode_value(table, value, limit=self.max_value_bytes)
        with self._contents.lock:
            known = self._declare(table)
            rows = self._contents.rows.setdefault((known.name, tenant), {})
            version = rows[id].version if id in rows else 0
            if if_version is not None and if_version != version:
                raise _conflict(table, id, if_version, version)
            rows[id] = _Row(text, _indexed(known, value), version + 1, datetime.now(UTC))
            return version + 1

    async def get(self, table: Table, tenant: str, id: str) -> Record | None:
        """Return the record, or None."""
        _check(table, tenant, id, None)
        with self._contents.lock:
            row = self._contents.rows.get((table.name, tenant), {}).get(id)
        return row.record(id) if row is not None else None

    async def delete(self, table: Table, tenant: str, id: str, *, if_version: int | None = None) -> bool:
        """Remove a record and say whether it was there."""
        _check(table, tenant, id, if_version)
        with self._contents.lock:
            rows = self._contents.rows.get((table.name, tenant), {})
            row = rows.get(id)
            if row is None:
                return False
            if if_version is not None and if_version != row.version:
                raise _conflict(table, id, if_version, row.version)
            del rows[id]
            return True

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
        query = check_query(table, tenant, where=where, order=order, limit=limit, cursor=cursor)
        with self._contents.lock:
            self._declare(table)
            rows = dict(self._contents.rows.get((table.name, tenant), {}))
        found = sorted(id for id, row in rows.items() if all(matches(each, row.indexed) for each in query.conditions))
        if order is not None:
            found.sort(key=lambda id: _sort_key(rows[id].indexed[order.field]), reverse=order.descending)
        remaining = [id for id in found if _is_behind(query, rows[id], id)]
        page, more = remaining[:limit], len(remaining) > limit
        last = page[-1] if more else ""
        value = rows[last].indexed[order.field] if more and order is not None else None
        return Page(
            tuple(rows[id].record(id) for id in page),
            encode_cursor(query.fingerprint, value, last) if more else None,  # type: ignore[arg-type]  # an index holds scalars only
        )

    async def append(self, tenant: str, stream: str, data: Sequence[str], *, expected_seq: int | None = None) -> int:
        """Append entries, all or none, and return the last entry's number."""
        _check_stream(tenant, stream)
        check_version("expected_seq", expected_seq)
        entries = check_entries(data, limit=self.max_value_bytes)
        with self._contents.lock:
            last = len(self._contents.streams.get((tenant, stream), ()))
            if expected_seq is not None and expected_seq != last:
                raise StorageConflict(
                    f"stream {stream!r} ends at {last}, not at {expected_seq}; read the new entries and try again",
                    expected=expected_seq,
                    actual=last,
                )
            if entries:
                self._contents.streams.setdefault((tenant, stream), []).extend(entries)
        if entries:
            self._contents.watchers.wake(tenant, stream)
        return last + len(entries)

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
        with self._contents.lock:
            entries = self._contents.streams.get((tenant, stream), ())
            last = min(before - 1, len(entries))
            numbers = range(after + 1, last + 1)
            chosen = numbers[::-1][:limit] if newest_first else numbers[:limit]
            return tuple(Entry(seq, entries[seq - 1]) for seq in chosen)

    async def last_seq(self, tenant: str, stream: str) -> int:
        """Return the number of the last entry, 0 for an unknown stream."""
        _check_stream(tenant, stream)
        with self._contents.lock:
            return len(self._contents.streams.get((tenant, stream), ()))

    async def drop(self, tenant: str, stream: str) -> None:
        """Remove a stream; an unknown one is no error."""
        _check_stream(tenant, stream)
        with self._contents.lock:
            self._contents.streams.pop((tenant, stream), None)

    async def tail(self, tenant: str, stream: str, *, after: int = 0) -> AsyncIterator[Entry]:
        """Yield entries above *after* as they appear."""
        with self._contents.watchers.watch(tenant, stream) as grown:
            while True:
                grown.clear()
                for entry in await self.read(tenant, stream, after=after):
                    yield entry
                    after = entry.seq
                    grown.set()
                await grown.wait()

    def _declare(self, table: Table) -> Table:
        """Remember a table's indexes, fill those that are new, and return all that are known."""
        known = self._contents.tables.get(table.name)
        if known == table:
            return table
        types = dict(known.indexes) if known is not None else {}
        for name, kind in table.indexes:
            if types.setdefault(name, kind) != kind:
                raise InvalidInput(
                    f"index {name!r} of table {table.name!r} is {types[name]} and cannot become {kind}; use another field"
                )
        if known is not None and len(types) == len(known.indexes):
            return known
        known = Table(table.name, tuple(types.items()))
        for (owner, _), rows in self._contents.rows.items():
            if owner == table.name:
                for row in rows.values():
                    row.indexed = _indexed(known, decode_value(row.text))
        self._contents.tables[table.name] = known
        return known


def _check(table: Table, tenant: str, id: str, if_version: int | None) -> None:
    check_table(table)
    check_name("tenant", tenant)
    check_name("id", id)
    check_version("if_version", if_version)


def _check_stream(tenant: str, stream: str) -> None:
    check_name("tenant", tenant)
    check_name("stream", stream)


def _conflict(table: Table, id: str, expected: int, actual: int) -> StorageConflict:
    return StorageConflict(
        f"record {id!r} of table {table.name!r} has version {actual}, not {expected}; read it and try again",
        expected=expected,
        actual=actual,
    )


def _indexed(table: Table, value: JsonObject) -> dict[str, object]:
    return dict(zip((name for name, _ in table.indexes), index_values(table, value), strict=True))


def _sort_key(value: object) -> tuple[bool, object]:
    return (value is not None, value if value is not None else 0)


def _is_behind(query: Query, row: _Row, id: str) -> bool:
    """Say whether a record stands behind the query's position; equal values are ordered by id."""
    if query.position is None:
        return True
    value, last_id = query.position
    if query.order is None:
        return id > last_id
    mine, theirs = _sort_key(row.indexed[query.order.field]), _sort_key(value)
    if mine == theirs:
        return id > last_id
    return (mine < theirs) if query.order.descending else (mine > theirs)
