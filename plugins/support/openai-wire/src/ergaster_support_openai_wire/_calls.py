"""Ids for tool calls that a server sent without one."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["mint_call_id"]


def mint_call_id(seed: bytes, index: int, name: str) -> str:
    """Return an id that is the same for the same reply and another one for every other.

    Args:
        seed: What tells one reply of a run from all others: the request's body.
        index: Which call of the reply.
        name: The tool's name.
    """
    digest = blake2b(seed, digest_size=12, salt=index.to_bytes(8, "big"), person=b"ergaster")
    digest.update(name.encode("utf-8", "replace"))
    return f"call_{digest.hexdigest()}"
