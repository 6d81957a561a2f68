"""One database file of this process: its threads, shared by every storage and event loop that uses it."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Sequence
from typing import TypeAlias

from ergaster_sqlite.sessions import ReadSession, SqliteSession, WriteSession
from ergaster_sqlite.settings import MEMORY, SqliteSettings
from ergaster_support_sql import Lane
from ergaster_support_storage import Watchers

__all__ = ["Database", "acquire", "release"]

_READERS = 2

Key: TypeAlias = tuple[str, SqliteSettings]


class Database:
    """The writer thread, the reader threads, and who waits for new entries.

    Args:
        path: The file, or `:memory:`, which has one connection for everything.
        settings: The user's options.
    """

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        self.users = 0
        self.watchers = Watchers()
        self.is_open = False
        self.is_closed = False
        writers = [] if settings.read_only else [WriteSession(path, settings)]
        readers = [] if path == MEMORY else [ReadSession(path, settings) for _ in range(_READERS)]
        self.sessions: Sequence[SqliteSession] = (*writers, *readers)
        name = f"ergaster-sqlite-{os.path.basename(path)}"  # noqa: PTH119  # `:memory:` is no path
        # Without readers the writer reads, and without a writer the storage lets no write through.
        lanes = [Lane[SqliteSession](sessions, name=name) for sessions in (writers, readers) if sessions]
        self.writer, self.reader = lanes[0], lanes[-1]
        self._lanes = lanes
        self._generation = 0
        self._asked_at = 0.0

    async def open(self) -> None:
        """Connect and migrate, in the thread that writes."""
        await self.writer.call(lambda _session: None)
        self.is_open = True

    async def close(self) -> None:
        """Finish pending work and end the threads."""
        for lane in self._lanes:
            await lane.close()

    def stop(self) -> None:
        """Do what `close` does, when the interpreter ends."""
        for lane in self._lanes:
            lane.stop()

    async def generation(self, patience: float) -> int:
        """Return a number that grows after any commit by another connection; asked at most once per *patience* seconds."""
        now = time.monotonic()
        if now - self._asked_at >= patience:
            self._asked_at = now
            if await self.reader.call(SqliteSession.has_foreign_commits):
                self._generation += 1
        return self._generation

    def abandon(self) -> None:
        """Let go of everything in a forked child, in which the threads do not exist."""
        self.is_closed = True
        for lane in self._lanes:
            lane.abandon()
        for session in self.sessions:
            session.disconnect()
            session.gate.release()


_lock = threading.Lock()
_databases: dict[Key, Database] = {}


def acquire(path: str, settings: SqliteSettings) -> Database:
    """Return the database of a file, shared within the process; in-memory databases are never shared."""
    key = _key(path, settings)
    with _lock:
        database = _databases.get(key)
        if database is None:
            database = Database(path, settings)
            _databases[key if path != MEMORY else (f"{MEMORY}{id(database)}", settings)] = database
        database.users += 1
        return database


async def release(database: Database) -> None:
    """Give a database back; the last user's call closes it."""
    with _lock:
        database.users -= 1
        if database.users or database.is_closed:
            return
        database.is_closed = True
        for key in [key for key, value in _databases.items() if value is database]:
            del _databases[key]
    await database.close()


def _key(path: str, settings: SqliteSettings) -> Key:
    return (path if path == MEMORY else os.path.realpath(path), settings)


def _stop_all() -> None:
    for database in list(_databases.values()):
        database.stop()


def _before_fork() -> None:
    """Wait until no connection is in use: a child cannot close one that a thread of its parent was using."""
    _lock.acquire()
    for database in _databases.values():
        for session in database.sessions:
            session.gate.acquire()


def _after_fork_in_parent() -> None:
    for database in _databases.values():
        for session in database.sessions:
            session.gate.release()
    _lock.release()


def _after_fork_in_child() -> None:
    """Close the inherited connections, so that SQLite forgets the parent's locks, and begin anew."""
    for database in _databases.values():
        database.abandon()
    _databases.clear()
    _lock.release()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
