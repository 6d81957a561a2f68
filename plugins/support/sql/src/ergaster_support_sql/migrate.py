"""Bringing a database up to date with the migration scripts of this package."""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from ergaster_support_sql.layout import Layout

__all__ = ["known_revisions", "upgrade"]

_lock = threading.Lock()
"""Alembic keeps what it works on in its own module: one migration at a time in a process."""

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(connection: sa.Connection, layout: Layout, *, revision: str = "head") -> None:
    """Run the migrations up to *revision* in the connection's transaction; the caller holds the lock and commits.

    Args:
        revision: Where to stop; tests begin from an older one.
    """
    with _lock:
        command.upgrade(_config(connection, layout), revision)


def known_revisions() -> tuple[str, ...]:
    """Return the revisions that this package has scripts for, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions())


def _config(connection: sa.Connection, layout: Layout) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, layout=layout)
    return config
