"""Reads the demo's database from outside, while other processes write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from ergaster import wait
from ergaster.contracts.storage import Entry, Record, Storage, Table
from ergaster.journal import stream_name
from ergaster.sessions import RUNS, SESSIONS
from ergaster_cli.demo.report import Stored

__all__ = ["Store"]

_TENANT = "default"


@frozen
class Store:
    """The database of the demo.

    Attributes:
        storage: Opened by this process on its own.
        path: Its file.
    """

    storage: Storage
    path: Path

    def entries(self, run_id: str) -> tuple[Entry, ...]:
        """Return the journal of a run."""
        return tuple(wait(self.storage.read(_TENANT, stream_name(run_id))))

    def measure(self) -> Stored:
        """Count what is stored."""
        runs = self._records(RUNS)
        entries = [entry for run in runs for entry in self.entries(run.id)]
        files = self.path.parent.glob(self.path.name + "*")
        return Stored(
            sessions=len(self._records(SESSIONS)),
            runs=len(runs),
            entries=len(entries),
            entry_bytes=sum(len(entry.data) for entry in entries),
            file_bytes=sum(file.stat().st_size for file in files),
        )

    def close(self) -> None:
        """Let go of the database."""
        wait(self.storage.close())

    def _records(self, table: Table) -> Sequence[Record]:
        found: list[Record] = []
        cursor: str | None = None
        while True:
            page = wait(self.storage.query(table, _TENANT, limit=1000, cursor=cursor))
            found.extend(page.records)
            cursor = page.cursor
            if cursor is None:
                return found
