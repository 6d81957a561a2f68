"""Checks of what callers hand to a storage: all refused with `InvalidInput` before anything is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import get_args

from ergaster.contracts.storage import IndexType, Table
from ergaster.errors import InvalidInput, ValueTooLarge

__all__ = [
    "INTEGER_MAX",
    "INTEGER_MIN",
    "check_bounds",
    "check_entries",
    "check_name",
    "check_table",
    "check_version",
]

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1
"""What an `integer` index holds: every engine has 64-bit integers, none of the usual ones has more."""

_NAME_LENGTH = 200
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_]{1,40}\Z")
_INDEX_TYPES = frozenset(get_args(IndexType))


def check_name(kind: str, text: object) -> None:
    """Refuse an id, tenant or stream name that the contract does not allow.

    Args:
        kind: What the text names, for the message: `id`, `tenant` or `stream`.

    Raises:
        InvalidInput: If *text* is no text of 1 to 200 characters, or holds control characters or half a surrogate pair.
    """
    if not isinstance(text, str) or not 0 < len(text) <= _NAME_LENGTH:
        found = f"{len(text)} characters" if isinstance(text, str) else type(text).__name__
        raise InvalidInput(f"the {kind} must be a text of 1 to {_NAME_LENGTH} characters, not {found}")
    if _UNPRINTABLE.search(text):
        raise InvalidInput(f"the {kind} {text!r} holds a control character or half a surrogate pair; remove it")


@lru_cache(maxsize=1024)
def check_table(table: Table) -> Table:
    """Return *table* if its name and indexes can be identifiers on every engine.

    Raises:
        InvalidInput: If a name is not 1 to 40 letters, digits or `_`, if two indexes differ only in case, or if a type
            is unknown.
    """
    if not _IDENTIFIER.match(table.name):
        raise InvalidInput(f"the table name {table.name!r} must be 1 to 40 ASCII letters, digits or '_'")
    seen: set[str] = set()
    for name, kind in table.indexes:
        if not _IDENTIFIER.match(name):
            raise InvalidInput(f"the index {name!r} of table {table.name!r} must be 1 to 40 ASCII letters, digits or '_'")
        if name.lower() in seen:
            raise InvalidInput(f"the index {name!r} of table {table.name!r} is declared twice; case makes no difference")
        if kind not in _INDEX_TYPES:
            known = ", ".join(sorted(_INDEX_TYPES))
            raise InvalidInput(f"the index {name!r} of table {table.name!r} has the unknown type {kind!r}; known: {known}")
        seen.add(name.lower())
    return table


def check_entries(data: Sequence[object], *, limit: int) -> tuple[str, ...]:
    """Return the entries of an append as a tuple.

    Raises:
        InvalidInput: If *data* is one text instead of several, or an entry is not ASCII or holds NUL.
        ValueTooLarge: If an entry is longer than *limit* bytes.
    """
    if isinstance(data, str):
        raise InvalidInput("append takes a sequence of JSON texts, not one text; put it into a list")
    entries: list[str] = []
    for position, entry in enumerate(data):
        if not isinstance(entry, str) or not entry.isascii() or "\0" in entry or not entry:
            raise InvalidInput(f"entry {position} of the append must be JSON text in ASCII without NUL")
        if len(entry) > limit:
            raise ValueTooLarge(f"entry {position} of the append has {len(entry)} bytes; the limit is {limit}")
        entries.append(entry)
    return tuple(entries)


def check_version(name: str, version: object) -> None:
    """Refuse an `if_version` or `expected_seq` that no record and no stream can have.

    Raises:
        InvalidInput: If *version* is not None and no whole number from 0.
    """
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or not 0 <= version <= INTEGER_MAX):
        raise InvalidInput(f"{name} must be a whole number from 0, or None, not {version!r}")


def check_bounds(after: int, before: int | None, limit: int) -> tuple[int, int, int]:
    """Return the bounds of a read within what engines can compare: after, before and limit.

    Raises:
        InvalidInput: If one of them is no whole number, or *limit* is below 1.
    """
    arguments: dict[str, object] = {"after": after, "before": 0 if before is None else before, "limit": limit}
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidInput(f"{name} must be a whole number, not {value!r}")
    if limit < 1:
        raise InvalidInput(f"limit must be 1 or more, not {limit}")
    upper = INTEGER_MAX if before is None else min(max(before, 0), INTEGER_MAX)
    return min(max(after, 0), INTEGER_MAX), upper, min(limit, INTEGER_MAX)
