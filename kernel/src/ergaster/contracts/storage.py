"""The contract of a storage: versioned records on declared tables, and append-only streams.

Everything that Ergaster keeps is built on these two shapes. Every address begins with the tenant: no call reaches
two tenants, and no filter is needed to keep them apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from attrs import frozen

from ergaster.filters import Filter
from ergaster.messages import JsonObject

__all__ = ["Entry", "IndexType", "Order", "Page", "Record", "Storage", "Table"]

IndexType: TypeAlias = Literal["text", "integer", "number", "boolean"]


@frozen
class Table:
    """A declared table.

    Attributes:
        name: Letters, digits and `_`, at most 40; unique among all tables of a storage.
        indexes: The top-level fields of the value that `query` may filter and order by, with their types. Times are
            ISO 8601 text in UTC. An index may be added later; a type never changes.
    """

    name: str
    indexes: tuple[tuple[str, IndexType], ...] = ()


@frozen
class Record:
    """A stored record.

    Attributes:
        id: Its id.
        value: A JSON object.
        version: 1 when created, one more with each put.
        updated_at: When it was last put, by the storage's clock, aware, in UTC.
    """

    id: str
    value: JsonObject
    version: int
    updated_at: datetime


@frozen
class Order:
    """Sort by one declared index; equal values are ordered by id, absent values come first when ascending."""

    field: str
    descending: bool = False


@frozen
class Page:
    """A page of records; `cursor` continues behind the last of them, None when there is no more."""

    records: tuple[Record, ...]
    cursor: str | None = None


@frozen
class Entry:
    """An entry of a stream: its number, from 1 without a gap, and its JSON text (ASCII, no NUL)."""

    seq: int
    data: str


class Storage(ABC):
    """Records and streams on one engine.

    Methods may be called from many tasks and event loops at once. A call that returns has written durably; a call
    that raises has written nothing, except that after `StorageUnavailable` in the middle of a write nobody knows (an
    append with `expected_seq` or a put with `if_version` then tells on the next try). Cancelling a write leaves it
    whole or absent. `open()` is implied by the first call. Ids, tenants and stream names are any text of 1 to 200
    characters without control characters.
    """

    max_value_bytes: int = 8 * 1024 * 1024
    """The largest record value or stream entry, as UTF-8 JSON; above it `ValueTooLarge` is raised."""

    poll_interval: float = 0.25
    """How soon `tail` sees an entry of another process, in seconds; engines with a push channel set it lower."""

    @abstractmethod
    async def open(self) -> None:
        """Connect and bring the schema up to date.

        Raises:
            StorageUnavailable: If the engine cannot be reached or the place cannot be written.
            StorageCorrupt: If what is there is no database of ours, or of a newer version.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finish pending writes and release everything; the next call opens again."""

    @abstractmethod
    async def put(self, table: Table, tenant: str, id: str, value: JsonObject, *, if_version: int | None = None) -> int:
        """Write a record and return its new version.

        Args:
            if_version: 0 to create only, n to replace version n only, None to write whatever is there.

        Raises:
            StorageConflict: If the record has another version; nothing was written.
            ValueTooLarge: If the value exceeds `max_value_bytes`.
        """

    @abstractmethod
    async def get(self, table: Table, tenant: str, id: str) -> Record | None:
        """Return the record, or None."""

    @abstractmethod
    async def delete(self, table: Table, tenant: str, id: str, *, if_version: int | None = None) -> bool:
        """Remove a record and say whether it was there.

        Raises:
            StorageConflict: If it is there with another version than *if_version*.
        """

    @abstractmethod
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
        """Return a page of the tenant's records that pass *where*, by *order* (by id when None).

        A cursor stays right while records are inserted and deleted: nothing that stays is skipped or given twice.
        *limit* is 1 to 1,000.

        Raises:
            Unsupported: If *where* or *order* names a field that the table does not index.
            InvalidInput: If *cursor* is not one of this query's or *limit* is out of bounds.
        """

    @abstractmethod
    async def append(self, tenant: str, stream: str, data: Sequence[str], *, expected_seq: int | None = None) -> int:
        """Append entries, all or none, and return the last entry's number.

        Args:
            data: JSON texts; none is no change.
            expected_seq: The last number the writer knows (0 for a new stream); None appends behind whatever is there.

        Raises:
            StorageConflict: If the stream ends elsewhere; `actual` is its last number.
        """

    @abstractmethod
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
        """Return up to *limit* entries numbered above *after* and below *before*; none for an unknown stream."""

    @abstractmethod
    async def last_seq(self, tenant: str, stream: str) -> int:
        """Return the number of the last entry, 0 for an unknown stream."""

    @abstractmethod
    async def drop(self, tenant: str, stream: str) -> None:
        """Remove a stream; an unknown one is no error."""

    @abstractmethod
    def tail(self, tenant: str, stream: str, *, after: int = 0) -> AsyncIterator[Entry]:
        """Yield entries above *after* as they appear, in order, for as long as the iterator is read."""
