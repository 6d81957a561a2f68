"""The synchronous door: one background event loop for the process, entered from scripts, threads and notebooks."""

from __future__ import annotations

import atexit
import inspect
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

from ergaster.errors import SyncDoorError

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

__all__ = ["iterate", "wait"]

T = TypeVar("T")

_parents_doors: list[object] = []
"""Doors of processes that this one was forked from: dropping one would wait for a thread that is not here."""

_CLEAN_UP = 5.0  # seconds that a cancelled task gets to write what it must

_lock = threading.Lock()
_door: tuple[AbstractContextManager[BlockingPortal], BlockingPortal, int] | None = None


def _portal() -> BlockingPortal:
    """Return the portal of this process; after a fork a new one is made, since threads do not survive it."""
    global _door  # noqa: PLW0603 - one door for the process is the point
    from anyio.from_thread import start_blocking_portal

    with _lock:
        if _door is None or _door[2] != os.getpid():
            manager = start_blocking_portal("asyncio", name="ergaster")
            _door = (manager, manager.__enter__(), os.getpid())  # it stays open as long as the process
            atexit.register(_close, manager, os.getpid())
        return _door[1]


def _close(manager: AbstractContextManager[BlockingPortal], pid: int) -> None:
    """Stop the loop at the end of the process, so that what is open on it is closed in order."""
    if pid == os.getpid():
        # Left by an exception, the manager cancels what still runs. To stop the portal first, by a call of our own,
        # would let the manager's call meet a loop that is just ending: nobody would ever answer it.
        manager.__exit__(SystemExit, SystemExit(), None)


def _reset_after_fork() -> None:
    global _lock, _door  # noqa: PLW0603 - the child has none of the parent's threads
    _lock = threading.Lock()
    _parents_doors.append(_door)
    _door = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def _check_caller(portal: BlockingPortal, work: object = None) -> None:
    if threading.get_ident() == portal._event_loop_thread_id:  # noqa: SLF001 - anyio has no public name for it
        if inspect.iscoroutine(work):
            work.close()
        raise SyncDoorError(
            "a synchronous call on Ergaster's own event loop would wait for itself; "
            "use the asynchronous twin (arun, astream, aresume, acancel) inside async code"
        )


def wait(awaitable: Awaitable[T]) -> T:
    """Run an awaitable on the background loop and return its value; for scripts.

    Ctrl-C cancels what is awaited, lets it clean up, and raises `KeyboardInterrupt`.

    Raises:
        SyncDoorError: If called on the background loop itself.
    """
    portal = _portal()
    _check_caller(portal, awaitable)
    finished = threading.Event()

    async def run() -> T:
        try:
            return await awaitable
        finally:
            finished.set()

    future = portal.start_task_soon(run)
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        finished.wait(_CLEAN_UP)
        raise


def iterate(make: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
    """Yield what an asynchronous iterator yields, working on it in the background loop.

    Leaving the loop early, or Ctrl-C, cancels the work and waits until it has cleaned up.
    """
    import queue

    portal = _portal()
    _check_caller(portal)
    items: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
    finished = threading.Event()

    async def pump() -> None:
        source = make()
        try:
            async for item in source:
                items.put(("item", item))
            items.put(("end", None))
        except BaseException as error:
            items.put(("error", error))
            raise
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()
            finished.set()

    future = portal.start_task_soon(pump)
    try:
        while True:
            kind, value = items.get()
            if kind == "item":
                yield value  # type: ignore[misc]  # the queue holds what `make` yields
            elif kind == "end":
                return
            else:
                raise value  # type: ignore[misc]  # put there as an exception
    finally:
        future.cancel()
        finished.wait(_CLEAN_UP)
