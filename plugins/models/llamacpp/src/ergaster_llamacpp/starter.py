"""One slow start for all who wait for it, from any number of tasks and event loops."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable
from concurrent.futures import Future

from ergaster_llamacpp.server import RunningServer
from ergaster_llamacpp.sources import Cancelled

__all__ = ["Starter"]

_SECONDS_AT_EXIT = 5.0


class Starter:
    """Runs a start in a thread, gives its result to all who ask, and stops it when nobody asks any more.

    Args:
        start: Does the work; it watches the event that it is given and raises `Cancelled` once that is set.
    """

    def __init__(self, start: Callable[[threading.Event], RunningServer]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._future: Future[RunningServer] | None = None
        self._cancelled = threading.Event()
        self._waiting = 0

    async def get(self) -> RunningServer:
        """Return the result of a start that is under way, or of a new one.

        Raises:
            Exception: What the start raised; the next call starts anew.
        """
        while True:
            with self._lock:
                if self._future is None or self._future.done():
                    self._future = self._begin()
                future = self._future
                self._waiting += 1
            result = asyncio.wrap_future(future)
            result.add_done_callback(_look_at)
            try:
                return await asyncio.shield(result)
            except Cancelled:
                # Those who waited before had gone, and this start with them.
                continue
            finally:
                with self._lock:
                    self._waiting -= 1
                    if not self._waiting:
                        self._cancelled.set()

    def _begin(self) -> Future[RunningServer]:
        future: Future[RunningServer] = Future()
        cancelled = self._cancelled = threading.Event()
        thread = threading.Thread(target=self._run, args=(future, cancelled), name="ergaster-llamacpp", daemon=True)

        def stop_at_exit() -> None:
            cancelled.set()
            thread.join(_SECONDS_AT_EXIT)

        atexit.register(stop_at_exit)
        future.add_done_callback(lambda _: atexit.unregister(stop_at_exit))
        thread.start()
        return future

    def _run(self, future: Future[RunningServer], cancelled: threading.Event) -> None:
        try:
            result = self._start(cancelled)
        except BaseException as error:  # boundary: a thread's error belongs to those who wait for it
            future.set_exception(error)
        else:
            future.set_result(result)


def _look_at(result: asyncio.Future[RunningServer]) -> None:
    """Take note of an error that nobody waits for any more, or the loop would report it."""
    if not result.cancelled():
        result.exception()
