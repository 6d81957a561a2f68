"""What a user may set, and the place that a reference names."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from ergaster.errors import InvalidOption
from ergaster.refs import Ref, resolve_path
from ergaster_support_sql import Layout

__all__ = ["MEMORY", "SqliteSettings", "database_path"]

MEMORY = ":memory:"
"""The path of a database that is no file."""

_URL = "sqlite://"


@frozen
class SqliteSettings:
    """The options of the SQLite storage.

    Attributes:
        durability: `normal` survives a killed process; `full` also a power failure, at the price of one sync per commit.
        busy_timeout: Seconds to wait for another process that holds the write lock.
        read_only: Open without the right to write; every write raises `Unsupported`.
        table_prefix: What every table's name begins with: up to 12 letters, digits and `_`.
        share_file: Whether the file may also hold tables of other applications.
    """

    durability: Literal["normal", "full"] = field(default="normal")
    busy_timeout: float = field(default=30.0)
    read_only: bool = False
    table_prefix: str = "ergaster_"
    share_file: bool = False

    @durability.validator
    def _check_durability(self, _attribute: object, value: object) -> None:
        if value not in {"normal", "full"}:
            raise _wrong(f"durability must be 'normal' or 'full', not {value!r}")

    @busy_timeout.validator
    def _check_busy_timeout(self, _attribute: object, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise _wrong(f"busy_timeout must be seconds from 0, not {value!r}")

    def layout(self) -> Layout:
        """Return the names of the tables."""
        return Layout(self.table_prefix)


def database_path(address: str) -> str:
    """Return the absolute path that an address names, or `:memory:`.

    Args:
        address: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite:///:memory:`, or a path.

    Raises:
        InvalidOption: If the address names no file, or a host or query, which SQLite does not have.
    """
    path = address
    if address.startswith(_URL):
        host, slash, path = address.removeprefix(_URL).partition("/")
        if host or not slash:
            shown, place = Ref("sqlite", address, True), host.rpartition("@")[2]
            raise _wrong(f"'{shown}' names a host; a file needs three slashes: sqlite:///{place or 'agents.db'}")
        if "?" in path:
            raise _wrong(f"{address.partition('?')[0]!r} has a query; give durability and the like as options instead")
    if not path or "\0" in path:
        raise _wrong(f"{address!r} names no file; write sqlite:///agents.db")
    return path if path == MEMORY else str(resolve_path(path).absolute())


def _wrong(message: str) -> InvalidOption:
    return InvalidOption(message, kind="storage", name="sqlite")
