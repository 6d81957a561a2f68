"""The names of everything that Ergaster keeps in a SQL database."""

from __future__ import annotations

import re
from hashlib import blake2s

from attrs import field, frozen

from ergaster.errors import InvalidInput

__all__ = ["HEAD", "Layout"]

HEAD = "0001"
"""The newest revision of the schema that this version knows; a test holds it equal to the last migration script."""

_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,11}\Z|\Z")
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")


@frozen
class Layout:
    """Where the tables are.

    Attributes:
        prefix: What every table's name begins with: up to 12 letters, digits and `_`.
        schema: The database schema that holds them; None for the connection's own.
    """

    prefix: str = field(default="ergaster_")
    schema: str | None = field(default=None, kw_only=True)

    @prefix.validator
    def _check_prefix(self, _attribute: object, value: str) -> None:
        if not _PREFIX.match(value):
            raise InvalidInput(f"the table prefix {value!r} must be up to 12 ASCII letters, digits or '_', and no digit first")

    @schema.validator
    def _check_schema(self, _attribute: object, value: str | None) -> None:
        if value is not None and not _SCHEMA.match(value):
            raise InvalidInput(f"the schema {value!r} must be up to 63 ASCII letters, digits or '_', and no digit first")

    @property
    def version(self) -> str:
        """The table with the revision of the schema."""
        return f"{self.prefix}version"

    @property
    def streams(self) -> str:
        """The table that gives every stream a number."""
        return f"{self.prefix}streams"

    @property
    def entries(self) -> str:
        """The table with the entries of all streams."""
        return f"{self.prefix}entries"

    @property
    def catalogue(self) -> str:
        """The table that lists the record tables and their indexes."""
        return f"{self.prefix}tables"

    def records(self, table: str) -> str:
        """Return the name of the table that holds a declared table's records."""
        return f"{self.prefix}record_{table}"

    def column(self, index: str) -> str:
        """Return the name of the column that holds an indexed field."""
        return f"i_{index}"

    def index(self, table: str, index: str) -> str:
        """Return the name of an index; short enough for every engine, and unique in a schema."""
        digest = blake2s(f"{table}.{index}".lower().encode(), digest_size=6).hexdigest()
        return f"{self.prefix}ix_{digest}_{index[:20]}"

    def qualified(self, name: str) -> str:
        """Return a table's name as SQL text."""
        return f'"{self.schema}"."{name}"' if self.schema is not None else f'"{name}"'
