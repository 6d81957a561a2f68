"""What a query asks for, checked and flattened; and cursors that belong to one query."""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import blake2s

from attrs import frozen

from ergaster.contracts.storage import Order, Table
from ergaster.errors import InvalidInput, Unsupported
from ergaster.filters import And, Eq, Filter, In, Range, Scalar
from ergaster_support_storage.checks import check_name, check_table
from ergaster_support_storage.values import index_values

__all__ = ["Query", "check_query", "decode_cursor", "encode_cursor"]

_MAX_CONDITIONS = 100
_MAX_CHOICES = 1000
_MAX_PAGE = 1000


@frozen
class Query:
    """A checked query.

    Attributes:
        table: The table, with identifiers that every engine takes.
        conditions: What must hold, all of it; no `And` among them.
        order: The order; None is by id.
        limit: Records per page.
        position: The order field's value and the id of the last record seen; None at the beginning.
        fingerprint: Ties a cursor to this tenant, table, filter and order.
    """

    table: Table
    conditions: tuple[Eq | In | Range, ...]
    order: Order | None
    limit: int
    position: tuple[Scalar | None, str] | None
    fingerprint: str


def check_query(
    table: Table, tenant: str, *, where: Filter | None, order: Order | None, limit: int, cursor: str | None
) -> Query:
    """Return the query if every engine can execute it.

    Raises:
        Unsupported: If *where* or *order* names a field that the table does not index, or *where* is no known filter.
        InvalidInput: If the limit, the cursor or a filter's value cannot be used, or the filter is too large.
    """
    check_table(table)
    _check_limit(limit)
    declared = {name for name, _ in table.indexes}
    conditions = _flatten(where)
    fields = [condition.field for condition in conditions] + ([order.field] if order is not None else [])
    for name in fields:
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise Unsupported(f"table {table.name!r} has no index on {name!r} (it has: {known}); declare it in Table.indexes")
    seed = repr((table.name, tenant, conditions, order)).encode("utf-8", "surrogatepass")
    fingerprint = blake2s(seed, digest_size=8).hexdigest()
    position = None if cursor is None else decode_cursor(cursor, fingerprint)
    if position is not None:
        check_name("id", position[1])
        index_values(table, {order.field: position[0]} if order is not None else {})
    return Query(table, conditions, order, limit, position, fingerprint)


def encode_cursor(fingerprint: str, value: Scalar | None, id: str) -> str:
    """Return the cursor that continues behind a record."""
    text = json.dumps([fingerprint, value, id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, fingerprint: str) -> tuple[Scalar | None, str]:
    """Return the order field's value and the id at which a cursor stands.

    Raises:
        InvalidInput: If the cursor is damaged or was given by another query.
    """
    wrong = InvalidInput(
        "the cursor is not one of this query; pass the cursor of its last page unchanged, or None to begin anew"
    )
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (AttributeError, TypeError, ValueError, RecursionError, binascii.Error) as error:
        raise wrong from error
    match parts:
        case [str(found), None | str() | int() | float() as value, str(id)] if found == fingerprint:
            return value, id
    raise wrong


def _check_limit(limit: object) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MAX_PAGE:
        raise InvalidInput(f"the limit of a query must be 1 to {_MAX_PAGE}, not {limit!r}")


def _flatten(where: Filter | None) -> tuple[Eq | In | Range, ...]:
    """Return the conditions of a filter without recursion, so that a deep one cannot exhaust the stack."""
    waiting: list[Filter] = [] if where is None else [where]
    conditions: list[Eq | In | Range] = []
    steps = 0
    while waiting:
        steps += 1
        if steps > _MAX_CONDITIONS * 2 or len(conditions) > _MAX_CONDITIONS:
            raise InvalidInput(f"a filter may hold at most {_MAX_CONDITIONS} conditions; narrow it, or ask several times")
        condition = waiting.pop()
        match condition:
            case And(filters):
                waiting.extend(reversed(filters))
            case Eq() | In() | Range():
                _check_values(condition)
                conditions.append(condition)
            case _:
                raise Unsupported(f"{type(condition).__name__} is no filter; use Eq, In, Range or And")
    return tuple(conditions)


def _check_values(condition: Eq | In | Range) -> None:
    values: tuple[object, ...]
    if isinstance(condition, In):
        values = tuple(condition.values)
    elif isinstance(condition, Eq):
        values = (condition.value,)
    else:
        values = (condition.ge, condition.gt, condition.le, condition.lt)
    if len(values) > _MAX_CHOICES:
        raise InvalidInput(f"In({condition.field!r}) may hold at most {_MAX_CHOICES} values, not {len(values)}")
    for value in values:
        if value is not None and (not isinstance(value, str | int | float) or value != value):  # noqa: PLR0124  # NaN alone
            raise InvalidInput(f"a filter on {condition.field!r} compares with {value!r:.40}; use text, a number or a bool")
