"""Threads that work off operations on a blocking driver, many at a time, for callers on any event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from attrs import define, frozen

__all__ = ["Lane", "LaneClosed", "Operation", "Outcome", "Session"]

S = TypeVar("S", bound="Session")
S_contra = TypeVar("S_contra", contravariant=True)

Operation: TypeAlias = Callable[[S], Any]
"""What a thread does with its session. Its result goes to the one caller that knows the type: hence the `Any`."""


class LaneClosed(Exception):  # a signal between a storage and its lane, never seen by users
    """The lane takes no more operations; open another one."""


@frozen
class Outcome:
    """What became of an operation: its result, or the error that its caller shall get."""

    result: object = None
    error: Exception | None = None


class Session(Protocol):
    """A connection and what belongs to it; all methods are called by one thread."""

    def open(self) -> None:
        """Connect; called again before the next operations when it raised."""

    def run(self, operations: Sequence[Callable[[Any], Any]]) -> Sequence[Outcome]:
        """Run the operations, if possible together, and return one outcome for each."""

    def close(self) -> None:
        """Disconnect."""


@define(eq=False)
class _Job(Generic[S]):
    operation: Operation[S]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Lane(Generic[S]):
    """A queue of operations and the threads that work it off, one for each session.

    While a thread works, what callers ask for meanwhile waits in the queue and is then run together: a writer commits
    many callers' writes at once. Callers are told with one wake-up per event loop and batch.

    Args:
        sessions: What the threads work on.
        name: The threads' name.
        max_batch: How many operations run together at most.
    """

    def __init__(self, sessions: Sequence[S], *, name: str, max_batch: int = 256) -> None:
        self._sessions = tuple(sessions)
        self._name = name
        self._max_batch = max_batch
        self._queue: SimpleQueue[_Job[S] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._closed = False

    async def call(self, operation: Operation[S]) -> Any:
        """Run an operation in one of the threads and return its result.

        A call that is cancelled before a thread has taken it up is never run; later it is run as if nothing happened.

        Raises:
            LaneClosed: If `close` or `stop` came first.
        """
        loop = asyncio.get_running_loop()
        job = _Job(operation, loop, loop.create_future())
        with self._lock:
            if self._closed:
                raise LaneClosed
            if not self._threads:
                self._start()
            self._queue.put(job)
        return await job.future

    async def close(self) -> None:
        """Finish what was asked for, then end the threads."""
        threads = self._ask_to_end()
        loop = asyncio.get_running_loop()
        for thread in threads:
            await loop.run_in_executor(None, thread.join)

    def stop(self) -> None:
        """Do what `close` does, from a thread without an event loop."""
        for thread in self._ask_to_end():
            thread.join()

    def abandon(self) -> None:
        """Take no more operations; for a forked child, in which the threads do not exist."""
        self._closed = True
        self._threads = []

    def _start(self) -> None:
        for number, session in enumerate(self._sessions):
            thread = threading.Thread(target=self._work, args=(session,), name=f"{self._name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _ask_to_end(self) -> Sequence[threading.Thread]:
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._queue.put(None)
            return tuple(self._threads)

    def _work(self, session: S) -> None:
        is_open = is_last = False
        while not is_last:
            jobs, is_last = self._take()
            # Nobody waits for a cancelled call: not running it leaves its write absent, which is one of the two
            # outcomes that cancelling may have.
            jobs = [job for job in jobs if not job.future.cancelled()]
            if not jobs:
                continue
            try:
                if not is_open:
                    session.open()
                    is_open = True
                outcomes = session.run([job.operation for job in jobs])
            except Exception as error:  # boundary: the callers get the error, and the thread serves the next ones
                outcomes = [Outcome(error=error)] * len(jobs)
            _deliver(jobs, outcomes)
            del jobs, outcomes
        session.close()

    def _take(self) -> tuple[list[_Job[S]], bool]:
        """Wait for a job and return it with all that are there, and whether the thread shall end behind them."""
        jobs: list[_Job[S]] = []
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == self._max_batch or not self._queue.qsize():
                return jobs, False
            try:
                job = self._queue.get_nowait()
            except Empty:
                # Another thread of the lane was faster.
                return jobs, False
        return jobs, True


def _deliver(jobs: Sequence[_Job[Any]], outcomes: Sequence[Outcome]) -> None:
    answers: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Outcome]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        answers.setdefault(job.loop, []).append((job.future, outcome))
    for loop, answer in answers.items():
        try:
            loop.call_soon_threadsafe(_settle, answer)
        except RuntimeError:
            # The loop was closed while its call ran: nobody is left who could be told.
            continue


def _settle(answers: Sequence[tuple[asyncio.Future[Any], Outcome]]) -> None:
    for future, outcome in answers:
        if future.done():
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.result)
