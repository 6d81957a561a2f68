"""The statements of the hot path, written once per layout.

Each of them runs for every message of every session, in processes that often do nothing else with the database: as
text they cost neither SQLAlchemy's import nor its per-call work. Names come from `Layout` and `check_table`, which let
nothing but identifiers through; every value is bound.
"""
# ruff: noqa: S608  # only checked identifiers are put into these texts, as said above

from __future__ import annotations

from attrs import field, frozen

from ergaster.contracts.storage import Table
from ergaster_support_sql.layout import Layout

__all__ = ["RecordStatements", "StreamStatements"]


@frozen
class StreamStatements:
    """Statements on streams.

    Attributes:
        layout: The names.
        mark: How the driver marks a bound value.
    """

    layout: Layout
    mark: str = "?"
    find: str = field(init=False)
    last: str = field(init=False)
    create: str = field(init=False)
    insert: str = field(init=False)
    read: str = field(init=False)
    read_newest: str = field(init=False)
    drop_entries: str = field(init=False)
    drop_stream: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        streams, entries = self.layout.qualified(self.layout.streams), self.layout.qualified(self.layout.entries)
        mark = self.mark
        number = f"(SELECT id FROM {streams} WHERE tenant = {mark} AND name = {mark})"
        last = f"(SELECT max(seq) FROM {entries} e WHERE e.stream = s.id)"
        rows = f"SELECT seq, data FROM {entries} WHERE stream = {number} AND seq > {mark} AND seq < {mark} ORDER BY seq"
        texts = {
            "find": f"SELECT s.id, {last} FROM {streams} s WHERE s.tenant = {mark} AND s.name = {mark}",
            "last": f"SELECT max(seq) FROM {entries} WHERE stream = {number}",
            "create": f"INSERT INTO {streams} (tenant, name) VALUES ({mark}, {mark})",
            "insert": f"INSERT INTO {entries} (stream, seq, data) VALUES ({mark}, {mark}, {mark})",
            "read": f"{rows} LIMIT {mark}",
            "read_newest": f"{rows} DESC LIMIT {mark}",
            "drop_entries": f"DELETE FROM {entries} WHERE stream = {number}",
            "drop_stream": f"DELETE FROM {streams} WHERE tenant = {mark} AND name = {mark}",
        }
        for name, text in texts.items():
            object.__setattr__(self, name, text)


@frozen
class RecordStatements:
    """Statements on the records of one table.

    `find` gives the version and then every indexed column, so that an update can leave alone the indexes whose column
    stays as it is: `update(changed)` sets the value, the version, the time, and the columns at these places.

    Attributes:
        layout: The names.
        table: The table with every index that the database has, which may be more than the caller declares.
        mark: How the driver marks a bound value.
    """

    layout: Layout
    table: Table
    mark: str = "?"
    find: str = field(init=False)
    get: str = field(init=False)
    insert: str = field(init=False)
    delete: str = field(init=False)
    _updates: dict[tuple[int, ...], str] = field(factory=dict, init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        records, mark = self.layout.qualified(self.layout.records(self.table.name)), self.mark
        where = f"WHERE tenant = {mark} AND id = {mark}"
        indexed = self._indexed()
        columns = ["value", "version", "updated_at", *indexed]
        marks = ", ".join([mark] * (len(columns) + 2))
        texts = {
            "find": f"SELECT {', '.join(['version', *indexed])} FROM {records} {where}",
            "get": f"SELECT value, version, updated_at FROM {records} {where}",
            "insert": f"INSERT INTO {records} ({', '.join([*columns, 'tenant', 'id'])}) VALUES ({marks})",
            "delete": f"DELETE FROM {records} {where}",
        }
        for name, text in texts.items():
            object.__setattr__(self, name, text)

    def update(self, changed: tuple[int, ...]) -> str:
        """Return the statement that sets the value, the version, the time, and the columns of the indexes *changed*."""
        text = self._updates.get(changed)
        if text is None:
            indexed, mark = self._indexed(), self.mark
            columns = ["value", "version", "updated_at", *(indexed[place] for place in changed)]
            assigned = ", ".join(f"{column} = {mark}" for column in columns)
            records = self.layout.qualified(self.layout.records(self.table.name))
            text = self._updates[changed] = f"UPDATE {records} SET {assigned} WHERE tenant = {mark} AND id = {mark}"
        return text

    def _indexed(self) -> list[str]:
        return [self.layout.column(name) for name, _ in self.table.indexes]
