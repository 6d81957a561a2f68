"""Reasoning with the upstream provider's proof, as OpenRouter passes it through: `reasoning_details`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["merge_details"]

_JOINED = ("text", "summary", "data")


def merge_details(pieces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return whole blocks from the pieces in which a stream brings them; whole blocks stay as they are.

    Pieces of one block follow each other and agree in type and index; their texts are joined, and of any other field
    the last value that is not null stands.
    """
    blocks: list[dict[str, Any]] = []
    for piece in pieces:
        latest = blocks[-1] if blocks else None
        if latest is None or piece.get("index") is None or _identity(latest) != _identity(piece):
            blocks.append(dict(piece))
            continue
        for name, value in piece.items():
            if value is None:
                continue
            joins = name in _JOINED and isinstance(latest.get(name), str)
            latest[name] = latest[name] + value if joins else value
    return blocks


def _identity(piece: dict[str, Any]) -> tuple[Any, Any]:
    return piece.get("type"), piece.get("index")
