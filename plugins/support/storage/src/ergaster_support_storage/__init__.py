"""What every storage checks and does alike, whatever its engine."""

from ergaster_support_storage.checks import (
    INTEGER_MAX,
    INTEGER_MIN,
    check_bounds,
    check_entries,
    check_name,
    check_table,
    check_version,
)
from ergaster_support_storage.queries import Query, check_query, decode_cursor, encode_cursor
from ergaster_support_storage.values import decode_value, encode_value, index_values
from ergaster_support_storage.watchers import Watchers

__all__ = [
    "INTEGER_MAX",
    "INTEGER_MIN",
    "Query",
    "Watchers",
    "check_bounds",
    "check_entries",
    "check_name",
    "check_query",
    "check_table",
    "check_version",
    "decode_cursor",
    "decode_value",
    "encode_cursor",
    "encode_value",
    "index_values",
]
