"""SQLite's errors as Ergaster's."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from ergaster.errors import StorageCorrupt, StorageError, StorageFull, StorageUnavailable, ValueTooLarge
from ergaster_sqlite.settings import MEMORY

__all__ = ["is_busy", "translate"]

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNREACHABLE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
}


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code; errors of the module itself have none."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Say whether another connection stands in the way, so that waiting helps."""
    return _code(error) in _BUSY


def translate(error: sqlite3.Error, path: str) -> StorageError:
    """Return the error of the storage that says what happened to which file, and what to do."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _has_no_space(path)):
        return StorageFull(
            f"there is no space left for {path}; what was written before is intact; free some space and try again"
        )
    if code in _BUSY:
        return StorageUnavailable(f"another process holds {path} locked; try again, or raise busy_timeout ({error})")
    if code in _DAMAGED:
        return StorageCorrupt(
            f"{path} is no SQLite database, or a damaged one ({error}); move it away to begin anew, or restore a backup"
        )
    if code == sqlite3.SQLITE_READONLY:
        return StorageUnavailable(f"{path} cannot be written ({error}); check the rights of the file and of its folder")
    if code in _UNREACHABLE:
        return StorageUnavailable(f"{path} cannot be used ({error}); check that the folder can be written and the disk is well")
    if code == sqlite3.SQLITE_TOOBIG:
        return ValueTooLarge(f"a value is too large for {path} ({error})")
    return StorageCorrupt(f"{path} is not laid out as expected ({error}); were its tables changed by another program?")


def _has_no_space(path: str) -> bool:
    if path == MEMORY or not hasattr(os, "statvfs"):
        return False
    try:
        return os.statvfs(Path(path).parent).f_bavail == 0
    except OSError:
        return False
