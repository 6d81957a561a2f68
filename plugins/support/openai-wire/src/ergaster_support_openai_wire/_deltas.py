"""Joining pieces that arrive together, so that what stands above pays per packet and not per token."""

from __future__ import annotations

from collections.abc import Iterable

from ergaster.contracts.model import Delta

__all__ = ["join_deltas"]


def join_deltas(deltas: Iterable[Delta]) -> list[Delta]:
    """Return *deltas* with neighbours of one kind and one tool call made into one."""
    joined: list[Delta] = []
    latest: Delta | None = None
    texts: list[str] = []  # the pieces of `latest`
    for delta in deltas:
        if latest is not None and latest.kind == delta.kind and latest.index == delta.index:
            texts.append(delta.text)
            continue
        if latest is not None and len(texts) > 1:
            latest.text = "".join(texts)
        joined.append(delta)
        latest, texts = delta, [delta.text]
    if latest is not None and len(texts) > 1:
        latest.text = "".join(texts)
    return joined
