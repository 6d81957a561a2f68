"""JSON in and out for the hot path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring  # the C function that json itself uses
from typing import Any

import jiter

from ergaster.errors import BadRequest
from ergaster.messages import Json

__all__ = ["WRONG_SHAPE", "JsonDecodeError", "dump", "join_object", "load", "quote", "to_bytes"]

JsonDecodeError = ValueError
"""What `load` raises."""

WRONG_SHAPE = (KeyError, IndexError, TypeError, AttributeError)
"""What reading a value of another shape than the protocol's raises."""


def _as_plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of the type {type(value).__name__}")


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_as_plain)


def load(data: bytes) -> Any:  # JSON has no narrower type
    """Parse JSON bytes; NaN and infinity are none."""
    return jiter.from_json(data, allow_inf_nan=False)


def quote(text: str) -> str:
    """Return *text* as a JSON string."""
    return encode_basestring(text)


def dump(value: Json) -> str:
    """Return *value* as JSON text.

    Raises:
        BadRequest: If it holds something that is no JSON, such as NaN.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequest(f"the request holds a value that is no JSON: {error}") from error


def join_object(fields: Mapping[str, str]) -> str:
    """Return an object as JSON text, from values that are JSON text already."""
    return "{" + ",".join([f'"{name}":{value}' for name, value in fields.items()]) + "}"


def to_bytes(text: str) -> bytes:
    """Return *text* in UTF-8; a lone surrogate, which no UTF-8 has, becomes a question mark."""
    return text.encode("utf-8", "replace")
