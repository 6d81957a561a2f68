"""Locks between processes that vanish with the process that holds them, also when it is killed."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ergaster.errors import Unsupported

__all__ = ["FileLock", "hold"]

_POLL = 0.1


class FileLock:
    """An advisory lock on a file: exclusive, or shared by any number of holders.

    The kernel of the operating system frees it when the holder ends, however it ends. Two objects are two holders,
    also inside one process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._release: weakref.finalize[[int], FileLock] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._release is not None and self._release.alive

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock if it is free and say whether it worked.

        Raises:
            Unsupported: On systems without `flock`.
        """
        try:
            import fcntl
        except ImportError as error:
            raise Unsupported(
                "llamacpp shares files and servers between processes with flock, which this system does not have;"
                " start a llama.cpp server yourself and give its address as the option 'base_url'"
            ) from error
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._release = weakref.finalize(self, os.close, descriptor)
        return True

    def acquire(
        self, *, shared: bool = False, timeout: float | None = None, waiting: Callable[[], None] = lambda: None
    ) -> bool:
        """Take the lock, waiting until it is free; return False when *timeout* seconds were not enough.

        Args:
            shared: Whether others may hold it at the same time.
            timeout: Seconds to wait at most; None for ever.
            waiting: Called before each wait; it may raise to give up.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.try_acquire(shared=shared):
            if end is not None and time.monotonic() >= end:
                return False
            waiting()
            time.sleep(_POLL)
        return True

    def release(self) -> None:
        """Let others have it; harmless when it is not held."""
        if self._release is not None:
            self._release()


@contextmanager
def hold(path: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the exclusive lock of *path* for the length of a block."""
    lock = FileLock(path)
    lock.acquire(waiting=waiting)
    try:
        yield
    finally:
        lock.release()
