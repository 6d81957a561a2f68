"""Waking the readers of a stream, on whatever event loop they wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Watchers"]


class Watchers:
    """Who waits for which stream; `wake` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}

    @contextmanager
    def watch(self, tenant: str, stream: str) -> Iterator[asyncio.Event]:
        """Give an event of the running loop that is set whenever the stream grows; the waiter clears it."""
        key = (tenant, stream)
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.setdefault(key, set()).add(waiter)
        try:
            yield waiter[1]
        finally:
            with self._lock:
                self._waiting[key].discard(waiter)
                if not self._waiting[key]:
                    del self._waiting[key]

    def wake(self, tenant: str, stream: str) -> None:
        """Set the events of everybody who watches the stream."""
        if not self._waiting:
            return
        with self._lock:
            waiters = tuple(self._waiting.get((tenant, stream), ()))
        for loop, event in waiters:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:
                # The loop was closed while its reader waited; nobody is left to be woken.
                continue
