"""SQLite storage for Ergaster."""

from ergaster_sqlite.settings import SqliteSettings
from ergaster_sqlite.storage import SqliteStorage

__all__ = ["SqliteSettings", "SqliteStorage"]
