"""The journal of a run: an append-only stream with one owner, told apart by epochs.

Every entry is appended behind the last one that the writer knows. When somebody else has written in between, the
writer folds what is new: a foreign epoch means that the run was taken over (stop at once), a cancel ends it, a
decision is taken in, and then the write is tried again. So no step starts after an acknowledged cancel, from any
process, and nothing is decided twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from ergaster.codec import read_event, write_event
from ergaster.contracts.storage import Entry, Storage
from ergaster.errors import InvalidInput, RunCancelledError, RunFenced, RunFinished, StorageConflict, UnknownRun
from ergaster.events import Event, RunCancelled
from ergaster.state import RunState, fold

__all__ = ["Journal", "cancel_run", "follow_journal", "load_state", "read_journal", "stream_name"]

_PAGE = 500


def stream_name(run_id: str) -> str:
    """Return the name of the run's stream."""
    return f"run:{run_id}"


async def read_journal(storage: Storage, tenant: str, run_id: str, *, after: int = 0) -> list[Event]:
    """Return the run's entries numbered above *after*, in order; none for an unknown run."""
    events: list[Event] = []
    while True:
        entries = await storage.read(tenant, stream_name(run_id), after=after, limit=_PAGE)
        events += [_read(entry, run_id) for entry in entries]
        if len(entries) < _PAGE:
            return events
        after = entries[-1].seq


async def follow_journal(storage: Storage, tenant: str, run_id: str, *, after: int = 0) -> AsyncIterator[Event]:
    """Yield the run's entries numbered above *after*, and those to come, up to the one that it ends or pauses with.

    Raises:
        UnknownRun: If there is no such run.
        InvalidInput: If the run has no entry of the number *after*.
    """
    newest = await storage.read(tenant, stream_name(run_id), limit=1, newest_first=True)
    if not newest:
        raise UnknownRun(f"there is no run {run_id!r} in the storage", run_id=run_id)
    last = newest[0]
    if not 0 <= after <= last.seq:
        raise InvalidInput(
            f"run {run_id} has the entries 1 to {last.seq}, not {after}; give the number of the last event you have"
        )
    if after == last.seq and _read(last, run_id).is_terminal:
        return
    entries = storage.tail(tenant, stream_name(run_id), after=after)
    try:
        async for entry in entries:
            event = _read(entry, run_id)
            yield event
            # A terminal event with others behind it is one that the run was resumed from.
            if event.is_terminal and await storage.last_seq(tenant, stream_name(run_id)) == entry.seq:
                return
    finally:
        if (close := getattr(entries, "aclose", None)) is not None:
            await close()


def _read(entry: Entry, run_id: str) -> Event:
    event = read_event(entry.data)
    event.seq, event.run_id = entry.seq, run_id
    return event


async def load_state(storage: Storage, tenant: str, run_id: str) -> RunState:
    """Return the run as its journal tells it; its status is `new` for an unknown run."""
    return fold(RunState(run_id), await read_journal(storage, tenant, run_id))


async def cancel_run(storage: Storage, tenant: str, run_id: str, reason: str = "") -> bool:
    """Cancel a run, from whatever process; after this returns no step of it starts.

    A run that has not begun is cancelled before its start. Returns False for a run that had ended already.
    """
    state = RunState(run_id)
    while True:
        fold(state, await read_journal(storage, tenant, run_id, after=state.seq))
        if state.is_final:
            return False
        try:
            event = RunCancelled(reason=reason, usage=state.usage)
            await storage.append(tenant, stream_name(run_id), [write_event(event)], expected_seq=state.seq)
        except StorageConflict:
            continue
        return True


class Journal:
    """Writes a run's entries, folds them into its state, and hands them to whoever streams the run."""

    def __init__(self, storage: Storage | None, tenant: str, state: RunState, *, path: tuple[str, ...] = ()) -> None:
        self.state = state
        self.storage = storage
        self.tenant = tenant
        self.path = path
        self.epoch = state.epoch
        self.outbox: deque[Event] = deque()
        self.on_event: Callable[[], None] | None = None
        self._lock: asyncio.Lock | None = None
        self._offset = 0

    async def append(self, *events: Event) -> None:
        """Write *events* as one step and take them into the state.

        Raises:
            RunFenced: If another process took the run over; nothing was written.
            RunCancelledError: If the run was cancelled; nothing was written.
            RunFinished: If the run had ended.
        """
        if self.storage is None:
            self._commit(events)
            return
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            lines = [write_event(event) for event in events]
            while True:
                self.check()
                try:
                    await self.storage.append(self.tenant, stream_name(self.state.run_id), lines, expected_seq=self.state.seq)
                except StorageConflict:
                    await self.catch_up()
                    continue
                break
            self._commit(events)

    async def claim(self, *events: Event, epoch: int) -> None:
        """Write the entries by which this process becomes the owner, under *epoch*.

        Raises:
            StorageConflict: If somebody else wrote first; nothing was written.
        """
        if self.storage is not None:
            lines = [write_event(event) for event in events]
            await self.storage.append(self.tenant, stream_name(self.state.run_id), lines, expected_seq=self.state.seq)
        self.epoch = epoch
        self._commit(events)

    async def begin(self, event: Event) -> None:
        """Write the first entry of a run whose id was minted here, so that nobody else can have written.

        The entry counts as written at once: what follows from it can be stored beside it instead of behind it.
        """
        line = write_event(event)
        self.epoch = 1
        self._commit((event,))
        if self.storage is not None:
            await self.storage.append(self.tenant, stream_name(self.state.run_id), [line], expected_seq=0)

    async def catch_up(self) -> None:
        """Take in what others wrote; raises as `append` does when that ends this process's part."""
        if self.storage is None:
            return
        foreign = await read_journal(self.storage, self.tenant, self.state.run_id, after=self.state.seq)
        for event in foreign:
            event.path = self.path
        fold(self.state, foreign)
        self._publish(foreign)
        self.check()

    def check(self) -> None:
        """Raise if this process may not write any more."""
        state = self.state
        if state.status == "cancelled":
            raise RunCancelledError(f"run {state.run_id} was cancelled", run_id=state.run_id)
        if state.epoch != self.epoch:
            raise RunFenced(
                f"run {state.run_id} was taken over by {state.owner or 'another process'} (epoch {state.epoch}); "
                "this process stopped and wrote nothing more",
                run_id=state.run_id,
            )
        if state.is_final:
            raise RunFinished(f"run {state.run_id} has ended ({state.status})", run_id=state.run_id)

    def tell(self, event: Event) -> None:
        """Hand on an event that is not kept: a delta or progress."""
        self._publish((self.stamp(event),))

    def stamp(self, event: Event) -> Event:
        """Write on a delta or progress where it belongs, and return it."""
        event.run_id, event.path, event.seq = self.state.run_id, event.path or self.path, self.state.seq
        event.offset = self._offset
        self._offset += 1
        return event

    def forward(self, event: Event) -> None:
        """Hand on an event of a nested run, as it is."""
        self._publish((event,))

    def _commit(self, events: Sequence[Event]) -> None:
        seq = self.state.seq
        for number, event in enumerate(events, seq + 1):
            event.run_id, event.path, event.seq = self.state.run_id, self.path, number
        self._offset = 0
        fold(self.state, events)
        self._publish(events)

    def _publish(self, events: Sequence[Event]) -> None:
        self.outbox.extend(events)
        if self.on_event is not None:
            self.on_event()
