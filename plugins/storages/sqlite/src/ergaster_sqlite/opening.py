"""Opening a database file: every check that keeps us from harming what is not ours."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ergaster.errors import StorageCorrupt, StorageUnavailable
from ergaster_sqlite.errors import is_busy, translate
from ergaster_sqlite.settings import MEMORY, SqliteSettings
from ergaster_support_sql import HEAD, Layout

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["check_place", "connect", "dialect", "file_identity"]

_OURS = "ergaster_"
_WAL_SIZE_LIMIT = 64 * 1024 * 1024


@cache
def dialect() -> sa.Dialect:
    """Return SQLAlchemy's description of SQLite, with the marks of the driver."""
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

    return SQLiteDialect_pysqlite(paramstyle="qmark")


def connect(path: str, settings: SqliteSettings) -> sqlite3.Connection:
    """Return a connection to a database of ours with the newest schema.

    Raises:
        StorageUnavailable: If the place cannot be opened or is locked for longer than `busy_timeout`.
        StorageCorrupt: If it holds no database, a damaged one, one of another application, or a newer one.
    """
    check_place(path, settings)
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path, settings)
        _patiently(lambda: _prepare(connection, path, settings), path, settings)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise translate(error, path) from error
        raise
    return connection


def file_identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another one that takes its place; None when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # runs before every batch; a Path would cost more than the call
    except OSError:
        return None
    return found.st_dev, found.st_ino


def check_place(path: str, settings: SqliteSettings) -> None:
    """Refuse a place that cannot hold a database, with more than SQLite's "unable to open database file".

    Raises:
        StorageUnavailable: If it is a directory, its folder is missing, or it is missing and must not be made.
    """
    if path == MEMORY:
        return
    try:
        problem = _problem(Path(path), read_only=settings.read_only)
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be reached ({error.strerror}); check the rights of its folders") from error
    if problem:
        raise StorageUnavailable(problem)


def _problem(file: Path, *, read_only: bool) -> str:
    """Return what is wrong with a place, and what to do; empty when nothing is."""
    if file.is_dir():
        return f"{file} is a directory; name a file in it, such as {file / 'agents.db'}"
    if not file.parent.is_dir():
        return f"the folder {file.parent} does not exist; create it, or name a file elsewhere"
    if read_only:
        return "" if file.exists() else f"{file} does not exist and read_only forbids to create it; open it once for writing"
    for place in (file.parent, file) if file.exists() else (file.parent,):
        if not os.access(place, os.W_OK):
            return f"{place} cannot be written; check its rights, or set read_only (SQLite writes beside its file, too)"
    return ""


def _connect(path: str, settings: SqliteSettings) -> sqlite3.Connection:
    target = path
    if settings.read_only and path != MEMORY:
        # SQLite needs a -wal and a -shm file beside a WAL database, even to read it; where it may create none and
        # there is none, nobody writes, and the file can be read as it is.
        lonely = not Path(f"{path}-wal").exists() and not os.access(Path(path).parent, os.W_OK)
        target = f"file:{quote(path)}?mode=ro{'&immutable=1' if lonely else ''}"
    return sqlite3.connect(
        target,
        timeout=0,  # waiting is done by the caller, who lets others work meanwhile
        isolation_level=None,  # transactions are begun and ended by name
        check_same_thread=False,  # one thread uses it; a forked child closes it
        cached_statements=256,
        uri=target != path,
    )


def _prepare(connection: sqlite3.Connection, path: str, settings: SqliteSettings) -> None:
    layout = settings.layout()
    revision = _revision(connection, path, layout, settings)
    if settings.read_only:
        if revision != HEAD:
            raise StorageUnavailable(f"{path} has an older schema and read_only forbids to update it; open it once for writing")
        connection.execute("PRAGMA query_only = ON")
        return
    if path != MEMORY:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StorageUnavailable(f"{path} lies on a file system without shared memory (WAL); use a local disk")
    connection.execute(f"PRAGMA synchronous = {'FULL' if settings.durability == 'full' else 'NORMAL'}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_SIZE_LIMIT}")
    if revision != HEAD:
        _migrate(connection, path, layout, settings)


def _revision(connection: sqlite3.Connection, path: str, layout: Layout, settings: SqliteSettings) -> str | None:
    """Return the revision of the schema, None for a database without one.

    Raises:
        StorageCorrupt: If the database is another application's, or of a newer version.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if layout.version in tables:
        row = connection.execute(f'SELECT version_num FROM "{layout.version}"').fetchone()  # noqa: S608  # a checked identifier
        if row is not None and row[0] > HEAD:
            raise StorageCorrupt(
                f"{path} was written by a newer version (schema {row[0]}, this one knows {HEAD}); update ergaster-sqlite"
            )
        if row is not None:
            return str(row[0])
    mine = tables & {layout.streams, layout.entries, layout.catalogue}
    foreign = {name for name in tables if not name.startswith((_OURS, "sqlite_"))}
    if mine or (foreign and not settings.share_file):
        named = ", ".join(sorted(mine or foreign)[:3])
        raise StorageCorrupt(
            f"{path} is a database of another application (it has the tables {named}); choose another file"
            + ("" if mine else ", or set share_file to keep both in it")
        )
    return None


def _migrate(connection: sqlite3.Connection, path: str, layout: Layout, settings: SqliteSettings) -> None:
    """Run the migrations under the write lock; another process may have been faster."""
    import sqlalchemy as sa

    from ergaster_support_sql.migrate import upgrade

    engine = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=sa.StaticPool)
    try:
        with engine.connect() as connected, connected.begin():
            connected.exec_driver_sql("BEGIN IMMEDIATE")
            if _revision(connection, path, layout, settings) != HEAD:
                upgrade(connected, layout)
    except sa.exc.DBAPIError as error:
        raise (error.orig if isinstance(error.orig, sqlite3.Error) else error) from error


def _patiently(prepare: Callable[[], None], path: str, settings: SqliteSettings) -> None:
    """Run until no other process stands in the way: switching to WAL and migrating need the whole file for a moment."""
    deadline = time.monotonic() + settings.busy_timeout
    while True:
        try:
            return prepare()
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise translate(error, path) from error
        time.sleep(0.01)
