"""One run at work: what features and tools see of it, and how it is interrupted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from ergaster.codec import dump_json, load_json
from ergaster.contracts.context import ToolContext, Turn
from ergaster.contracts.storage import Storage
from ergaster.errors import Unsupported
from ergaster.events import Event, StateChanged, StepCompleted, StepStarted, ToolProgress
from ergaster.journal import Journal
from ergaster.limits import Budget
from ergaster.messages import Json, JsonObject, Message, ToolCall, Usage
from ergaster.sessions import SessionLog
from ergaster.state import RunState

if TYPE_CHECKING:
    from ergaster.plan import Plan

__all__ = ["CallContext", "Closing", "Interrupt", "Interrupted", "Run", "TrackedState"]

T = TypeVar("T")


class Interrupted(Exception):
    """The run's current await was ended from outside; `Interrupt.reason` says why."""


class Interrupt:
    """Ends the await that a run is in, without touching the task that reads the run's events."""

    __slots__ = ("_sent", "_task", "fired", "reason")

    def __init__(self) -> None:
        self.fired = False
        self.reason: Exception | None = None
        self._task: asyncio.Task[object] | None = None
        self._sent = False

    def fire(self, reason: Exception | None = None) -> None:
        """End the current await, or the next one; call it on the run's own loop."""
        if self.fired:
            return
        self.fired, self.reason = True, reason
        if self._task is not None:
            self._sent = True
            self._task.cancel()

    async def guard(self, awaitable: Awaitable[T]) -> T:
        """Await something such that `fire` ends it.

        Raises:
            Interrupted: If it was, or had been, fired.
        """
        if self.fired:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            raise Interrupted
        self._task = task = asyncio.current_task()
        try:
            return await awaitable
        except asyncio.CancelledError:
            if self._sent and task is not None and task.uncancel() == 0:
                self._sent = False
                raise Interrupted from None
            raise
        finally:
            self._task = None
            if self._sent:
                await self._absorb(task)

    async def _absorb(self, task: asyncio.Task[object] | None) -> None:
        """Take back a cancellation that came when the await was already over."""
        self._sent = False
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if task is None or task.uncancel() > 0:
                raise


class TrackedState(MutableMapping[str, Json]):
    """A dictionary that knows what has changed since it was last saved, inside nested values too."""

    def __init__(self, values: Mapping[str, Json]) -> None:
        self._values = dict(values)
        self._read: dict[str, str] = {}
        self._set: set[str] = set()

    def __getitem__(self, key: str) -> Json:
        value = self._values[key]
        if isinstance(value, list | dict) and key not in self._read:
            self._read[key] = dump_json(value)
        return value

    def __setitem__(self, key: str, value: Json) -> None:
        dump_json({key: value})
        self._values[key] = value
        self._set.add(key)

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._set.add(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def take_changes(self) -> tuple[dict[str, Json], tuple[str, ...]]:
        """Return what was set and what was removed since the last call, and begin anew."""
        if not self._set and not self._read:
            return {}, ()
        touched = self._set | {key for key, text in self._read.items() if dump_json(self._values.get(key)) != text}
        changed = {key: load_json(dump_json(self._values[key])) for key in sorted(touched) if key in self._values}
        removed = tuple(sorted(key for key in touched if key not in self._values))
        self._set.clear()
        self._read.clear()
        return changed, removed


class Run:
    """A run in this process; implements `contracts.context.RunContext`."""

    def __init__(
        self,
        plan: Plan,
        state: RunState,
        *,
        tenant: str = "default",
        parent: Run | None = None,
        dependencies: Mapping[str, object] | None = None,
        is_streaming: bool = False,
    ) -> None:
        self.plan = plan
        self.state_of_run = state
        self.tenant = tenant
        self.parent = parent
        self.dependencies: Mapping[str, object] = dependencies or {}
        self.is_streaming = is_streaming
        self.path: tuple[str, ...] = (*parent.path, plan.name) if parent is not None else (plan.name,)
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.journal = Journal(plan.storage, tenant, state, path=self.path)
        outer: Budget | None = None if parent is None else parent.budget
        self.budget: Budget = Budget(plan.limits, state.run_id, outer)
        self.interrupt = Interrupt()
        self.session: SessionLog | None = None
        self.loop = asyncio.get_running_loop()
        self.wake = asyncio.Event()
        self.created_at = ""
        self.interrupted_at: int | None = None
        self.prefix: tuple[Message, ...] = ()
        self.tool_slots: dict[str, asyncio.Semaphore] = {}
        self._session_state: TrackedState | None = None
        self._session_values: Mapping[str, Json] = {}
        self._states: dict[str, TrackedState] = {}
        self._steps: dict[str, asyncio.Lock] = {}

    @property
    def run_id(self) -> str:
        return self.state_of_run.run_id

    @property
    def session_id(self) -> str | None:
        return self.state_of_run.session_id

    @property
    def user_id(self) -> str | None:
        return self.state_of_run.user_id

    @property
    def runnable(self) -> str:
        return self.plan.name

    @property
    def input(self) -> tuple[Message, ...]:
        return self.state_of_run.input

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self.state_of_run.messages)

    @property
    def usage(self) -> Usage:
        return self.state_of_run.usage

    @property
    def metadata(self) -> JsonObject:
        return self.state_of_run.metadata

    @property
    def storage(self) -> Storage | None:
        return self.plan.storage

    @property
    def session_state(self) -> MutableMapping[str, Json]:
        if self._session_state is None:
            self._session_state = TrackedState({**self._session_values, **self.state_of_run.session_changes})
        return self._session_state

    def use_session_values(self, values: Mapping[str, Json]) -> None:
        """Take the session's stored state as the base of `session_state`."""
        self._session_values = values

    def state(self, owner: object) -> MutableMapping[str, Json]:
        name = str(getattr(owner, "name", "") or type(owner).__name__)
        if name not in self._states:
            self._states[name] = TrackedState(self.state_of_run.feature_states.get(name, {}))
        return self._states[name]

    async def step(self, name: str, fn: Callable[[], Awaitable[Json]]) -> Json:
        async with self._steps.setdefault(name, asyncio.Lock()):
            if name in self.state_of_run.steps:
                return self.state_of_run.steps[name]
            self.journal.tell(StepStarted(name=name))
            value = load_json(dump_json(await fn()))
            await self.journal.append(StepCompleted(name=name, value=value))
            return value

    async def emit(self, event: Event) -> None:
        if event.is_durable:
            await self.journal.append(event)
        else:
            self.journal.tell(event)

    async def turns(self, limit: int) -> Sequence[Turn]:
        if self.session is None:
            return ()
        return await self.session.turns(limit, before=self.state_of_run.session_seq + 1)

    def resolve(self, kind: str, ref: str, options: Mapping[str, object] | None = None) -> object:
        if self.plan.resolve is None:
            raise Unsupported("this run has no kernel to resolve names with")
        return self.plan.resolve(kind, ref, options)

    def drain(self) -> Iterator[Event]:
        """Yield and forget the events that wait to be streamed."""
        outbox: deque[Event] = self.journal.outbox
        while outbox:
            yield outbox.popleft()

    async def save_states(self) -> None:
        """Journal what changed in the states, and merge the session's part into its record."""
        for name, tracked in self._states.items():
            changed, removed = tracked.take_changes()
            if changed or removed:
                await self.journal.append(StateChanged(scope=f"feature:{name}", changed=changed, removed=removed))
        if self._session_state is None:
            return
        changed, removed = self._session_state.take_changes()
        if changed or removed:
            await self.journal.append(StateChanged(changed=changed, removed=removed))
            if self.session is not None:
                await self.session.update(changed=changed, removed=removed)

    def guarded(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yield from *items*, such that an interrupt ends the wait for the next one and closes the source."""
        return _guarded(self.interrupt, items)


class Closing(Generic[T]):
    """Closes an asynchronous iterator when its reader is done with it, if it can be closed."""

    __slots__ = ("_items",)

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._items = items

    async def __aenter__(self) -> AsyncIterator[T]:
        return self._items

    async def __aexit__(self, *_: object) -> None:
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


async def _guarded(interrupt: Interrupt, items: AsyncIterator[T]) -> AsyncIterator[T]:
    advance = items.__anext__
    guard = interrupt.guard
    try:
        while True:
            try:
                item = await guard(advance())
            except StopAsyncIteration:
                return
            yield item
    finally:
        await Closing(items).__aexit__()


class CallContext:
    """A tool call at work; implements `contracts.context.ToolContext` by adding to its run."""

    @classmethod
    def make(cls, run: Run, call: ToolCall, *, attempt: int) -> ToolContext:
        """Return the context of one try of a call."""
        return cast("ToolContext", cls(run, call, attempt=attempt))

    def __init__(self, run: Run, call: ToolCall, *, attempt: int) -> None:
        self._run = run
        self._call = call
        self.attempt = attempt
        self.path = (*run.path, call.name)

    @property
    def run_id(self) -> str:
        return self._run.run_id

    @property
    def call_id(self) -> str:
        return self._call.id

    @property
    def idempotency_key(self) -> str:
        return f"{self._run.run_id}:{self._call.id}"

    async def progress(self, value: Json) -> None:
        dump_json(value)
        self._run.journal.tell(ToolProgress(call_id=self._call.id, name=self._call.name, value=value, path=self.path))

    @property
    def run(self) -> Run:
        """The run that the call belongs to."""
        return self._run

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._run, name)
