"""Closing with an event loop what was opened on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = ["Lifetime", "close_with_loop"]

Lifetime = AsyncGenerator[None, None]
"""Keep it for as long as the thing is in use; `await lifetime.aclose()` closes the thing earlier."""


async def close_with_loop(close: Callable[[], Awaitable[None]]) -> Lifetime:
    """Have *close* called when the running event loop shuts down, and return the handle to keep.

    A loop closes the asynchronous generators that are suspended on it before it ends (`asyncio.run` does that), which
    is the one thing it does for libraries.
    """
    lifetime = _suspended(close)
    await anext(lifetime)
    return lifetime


async def _suspended(close: Callable[[], Awaitable[None]]) -> Lifetime:
    try:
        yield
    finally:
        await close()
