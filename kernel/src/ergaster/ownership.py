"""Owning a run: claiming it, showing a sign of life, and noticing when others cancel it or take it over."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from functools import cache

from ergaster.calls import check_decision
from ergaster.codec import read_event
from ergaster.contracts.storage import Record
from ergaster.errors import LimitReached, RunBusy, RunError, RunFinished, StorageConflict, StorageError
from ergaster.events import ApprovalDecided, Decision, Event, RunCancelled, RunResumed, RunStarted
from ergaster.journal import read_journal, stream_name
from ergaster.loop import save_record
from ergaster.messages import Message
from ergaster.run import Run
from ergaster.sessions import LEASE, RUNS, SessionLog, lease_is_live
from ergaster.state import RunState, fold

__all__ = ["Watch", "claim_new", "claim_again", "owner_name"]

_WATCH_AFTER = 0.25  # seconds: a run that is over by then needs no watching


@cache
def _host() -> str:
    return socket.gethostname()


def owner_name() -> str:
    """Return the name of this process, for people who look who owns a run."""
    return f"{_host()}:{os.getpid()}"


async def claim_new(
    run: Run,
    messages: tuple[Message, ...],
    *,
    user_id: str | None,
    session_id: str | None,
    call_id: str | None,
    metadata: dict[str, object],
    is_own_id: bool,
) -> None:
    """Write the run's beginning: from here on its input cannot be lost.

    With *is_own_id*, an id that was minted here, journal and records are written at once.

    Raises:
        AccessDenied: If the session belongs to another user.
        RunError: If the run id is taken. A run that was cancelled before its start is claimed as cancelled.
    """
    started = RunStarted(
        runnable=run.plan.name,
        input=messages,
        owner=owner_name(),
        session_id=session_id,
        user_id=user_id,
        parent_run_id=run.parent.run_id if run.parent else None,
        parent_call_id=call_id,
        metadata=metadata,
    )
    storage = run.storage
    run.created_at = datetime.now(UTC).isoformat()
    if storage is None:
        await run.journal.claim(started, epoch=1)
        return
    if session_id is not None:
        run.session = SessionLog(storage, run.tenant, session_id)
        run.use_session_values(await run.session.open(user_id))
        started.session_seq = await run.session.last_seq()
    writes: list[Awaitable[None]] = []
    if is_own_id:
        writes.append(run.journal.begin(started))
    else:
        try:
            await run.journal.claim(started, epoch=1)
        except StorageConflict:
            await _refuse_taken(run)
            return
    writes.append(save_record(run, is_live=True))
    if run.session is not None:
        writes.append(run.session.create(user_id))
    await asyncio.gather(*writes)


async def _refuse_taken(run: Run) -> None:
    state = run.state_of_run
    if run.storage is not None:
        fold(state, await read_journal(run.storage, run.tenant, run.run_id))
    if state.status == "cancelled" and not state.input:
        return
    raise RunError(f"there is a run {run.run_id!r} already; resume it, or leave run_id out for a new one", run_id=run.run_id)


async def claim_again(run: Run, decisions: Sequence[Decision], *, force: bool) -> None:
    """Take a run that was paused, interrupted or failed, and apply decisions, in one write.

    Raises:
        RunFinished: If it has ended.
        RunBusy: If a live process owns it and *force* is not set.
        InvalidDecision: If a decision does not answer an open question.
    """
    state, storage = run.state_of_run, run.storage
    while True:
        if state.is_final:
            raise RunFinished(f"run {run.run_id} has ended ({state.status}); start a new one", run_id=run.run_id)
        record = await storage.get(RUNS, run.tenant, run.run_id) if storage is not None else None
        if state.status in ("running", "failed") and (lease_is_live(record) or _was_just_taken(state, record)) and not force:
            raise RunBusy(
                f"run {run.run_id} is owned by {state.owner}, which gave a sign of life less than {LEASE.seconds} s ago; "
                "wait for it, or resume with force=True",
                run_id=run.run_id,
            )
        for decision in decisions:
            check_decision(run, decision)
        run.interrupted_at = state.seq if state.status == "running" else None
        events: list[Event] = [RunResumed(epoch=state.epoch + 1, owner=owner_name())]
        events += [ApprovalDecided(decision=decision) for decision in decisions]
        try:
            await run.journal.claim(*events, epoch=state.epoch + 1)
        except StorageConflict:
            if storage is not None:
                fold(state, await read_journal(storage, run.tenant, run.run_id, after=state.seq))
            continue
        break
    if storage is None:
        return
    run.created_at = str(record.value.get("created_at") or "") if record else datetime.now(UTC).isoformat()
    if state.session_id is not None:
        run.session = SessionLog(storage, run.tenant, state.session_id)
        run.use_session_values(await run.session.open(state.user_id))
    await save_record(run, is_live=True)


def _was_just_taken(state: RunState, record: Record | None) -> bool:
    """Say whether the run has an owner so new that its record, and in it the lease, may not have been written yet."""
    known = 0 if record is None else record.value.get("epoch") or 0
    return state.epoch > known and state.owned_at is not None and datetime.now(UTC) - state.owned_at < LEASE


class Watch:
    """Looks after a run while it works: its lease, its deadline, and what other processes write."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tasks: list[asyncio.Task[None]] = []
        self._timers: list[asyncio.TimerHandle] = []

    def start(self) -> None:
        """Begin; short runs end before anything is looked at."""
        run = self._run
        if run.storage is not None:
            self._timers.append(run.loop.call_later(_WATCH_AFTER, self._look))
        seconds = run.plan.limits.seconds
        if seconds is not None:
            self._timers.append(run.loop.call_later(seconds, self._too_late))

    async def stop(self) -> None:
        """End; what was started is gone when this returns."""
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _look(self) -> None:
        self._tasks += [asyncio.create_task(self._follow()), asyncio.create_task(self._renew())]

    def _too_late(self) -> None:
        run = self._run
        seconds = run.plan.limits.seconds
        error = LimitReached(
            f"run {run.run_id} reached its limit of {seconds:g} seconds; raise it with limits=Limits(seconds=…)",
            run_id=run.run_id,
            limit="seconds",
        )
        run.interrupt.fire(error)

    async def _follow(self) -> None:
        """Interrupt the run when another process cancels it or takes it over."""
        run = self._run
        if run.storage is None:
            return
        stream = stream_name(run.run_id)
        async for entry in run.storage.tail(run.tenant, stream, after=run.state_of_run.seq):
            event = read_event(entry.data)
            if isinstance(event, RunCancelled) or (isinstance(event, RunResumed) and event.epoch > run.journal.epoch):
                run.interrupt.fire()
                return

    async def _renew(self) -> None:
        run = self._run
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            try:
                await save_record(run, is_live=True)
            except StorageError:
                continue  # the next renewal may reach it; fencing keeps the run safe until then
