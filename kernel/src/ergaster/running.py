"""Beginning, continuing, finishing and cancelling runs of an agent."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ergaster.codec import dump_json
from ergaster.contracts.runnable import Input
from ergaster.errors import InvalidInput, LimitReached, RunError, UnknownRun
from ergaster.events import Decision, Event, RunCancelled, RunFailed
from ergaster.journal import cancel_run, load_state
from ergaster.loop import execute, save_record
from ergaster.messages import Audio, Citation, File, Image, Message, Reasoning, Text, ToolCall, ToolResult, Video
from ergaster.ownership import Watch, claim_again, claim_new
from ergaster.plan import Plan
from ergaster.results import RunResult, make_result
from ergaster.run import CallContext, Closing, Run
from ergaster.schema import adapter_for
from ergaster.state import RunState

if TYPE_CHECKING:
    from ergaster.front import Front

__all__ = ["as_messages", "begin", "begin_again", "cancel", "finish", "work"]

_PARTS = (Text, Image, Audio, Video, File, Reasoning, ToolCall, ToolResult, Citation)


def as_messages(given: Input, input_type: object = None) -> tuple[Message, ...]:
    """Return what a caller gave as messages.

    Raises:
        InvalidInput: If it is empty, of another type, or does not fit the input schema.
    """
    if input_type is not None:
        adapter = adapter_for(input_type)
        raw = given if isinstance(given, Mapping | list) else adapter.dump(given)
        value = adapter.load(raw)
        return (Message("user", dump_json(adapter.dump(value))),)
    if isinstance(given, (str, Message, *_PARTS)):
        items: Sequence[Any] = (given,)
    elif isinstance(given, Sequence) and not isinstance(given, bytes):
        items = given
    else:
        raise InvalidInput(
            f"an input is a text, a message, parts, or a value of the agent's input_schema; this is a {type(given).__name__}"
        )
    messages: list[Message] = []
    for item in items:
        if isinstance(item, Message):
            messages.append(item)
        elif isinstance(item, (str, *_PARTS)):
            part = Text(item) if isinstance(item, str) else item
            if messages and messages[-1].role == "user" and not isinstance(items[0], Message):
                messages[-1] = Message("user", (*messages[-1].parts, part))
            else:
                messages.append(Message("user", (part,)))
        else:
            raise InvalidInput(f"an input holds texts, parts and messages; this one holds a {type(item).__name__}")
    if not messages or not any(message.parts for message in messages):
        raise InvalidInput("the input is empty; give a text, parts or messages")
    return tuple(messages)


async def begin(agent: Front, given: Input, options: dict[str, Any], *, is_streaming: bool) -> Run:
    """Accept an input: after this it is stored, and the run is this process's."""
    call = options.pop("parent", None)
    parent = call.run if isinstance(call, CallContext) else call
    who = {name: options.pop(name, None) for name in ("user_id", "session_id", "tenant", "run_id", "metadata", "session_state")}
    dependencies = options.pop("dependencies", None)
    plan = await _plan_for(agent, options)
    messages = as_messages(given, plan.input_type)
    if parent is not None:
        dependencies = parent.dependencies if dependencies is None else dependencies
        who["user_id"] = who["user_id"] or parent.user_id
        if parent.depth + 1 > parent.plan.limits.depth:
            raise LimitReached(
                f"runs are nested {parent.depth + 1} deep, which is the limit; raise it with limits=Limits(depth=…)",
                run_id=parent.run_id,
                limit="depth",
            )
    tenant = parent.tenant if parent is not None else who["tenant"] or "default"
    state = RunState(who["run_id"] or secrets.token_hex(16))
    run = Run(plan, state, tenant=tenant, parent=parent, dependencies=dependencies, is_streaming=is_streaming)
    session_id = who["session_id"] or (secrets.token_hex(16) if plan.storage is not None and parent is None else None)
    await claim_new(
        run,
        messages,
        user_id=who["user_id"],
        session_id=session_id,
        call_id=call.call_id if isinstance(call, CallContext) else None,
        metadata=dict(who["metadata"] or {}),
        is_own_id=not who["run_id"],
    )
    if who["session_state"]:
        run.session_state.update(who["session_state"])
    return run


async def begin_again(
    agent: Front, run_id: str, decisions: Sequence[Decision], options: dict[str, Any], *, force: bool, is_streaming: bool
) -> Run:
    """Take a run that is there already, from the storage or from this process's parked ones."""
    call = options.pop("parent", None)
    parent = call.run if isinstance(call, CallContext) else call
    tenant = options.pop("tenant", None) or (parent.tenant if parent is not None else "default")
    user_id = options.pop("user_id", None)
    dependencies = options.pop("dependencies", None)
    for name in ("session_id", "run_id", "metadata", "session_state"):
        options.pop(name, None)
    plan = await _plan_for(agent, options)
    if plan.storage is not None:
        state = await load_state(plan.storage, tenant, run_id)
    else:
        state, owner = agent.kernel.parked.get(run_id, (RunState(run_id), tenant))
        state = state if owner == tenant else RunState(run_id)
    if state.status == "new" or (user_id is not None and state.user_id not in (None, user_id)):
        where = "in the storage" if plan.storage is not None else "in this process; without a storage runs do not outlive it"
        raise UnknownRun(f"there is no run {run_id!r} {where}", run_id=run_id)
    run = Run(plan, state, tenant=tenant, parent=parent, dependencies=dependencies, is_streaming=is_streaming)
    run.budget.spend(model_calls=len(state.model_calls), tool_calls=state.tool_calls, usage=state.usage)
    await claim_again(run, decisions, force=force)
    agent.kernel.parked.pop(run_id, None)
    return run


async def _plan_for(agent: Front, overrides: dict[str, Any]) -> Plan:
    if not overrides:
        return await agent.plan()
    return await agent.replace(**overrides).plan_over(await agent.plan(), overrides)


async def work(run: Run) -> AsyncIterator[Event]:
    """Work on a claimed run and yield its events; what it holds in this process is released at the end."""
    kernel_live = run.plan.live
    kernel_live[run.run_id] = run
    watch = Watch(run)
    watch.start()
    is_over = False
    try:
        if run.state_of_run.is_final:
            async for event in _already_over(run):
                yield event
            return
        async with Closing(execute(run)) as events:
            async for event in events:
                is_over = event.is_terminal and event.run_id == run.run_id
                yield event
    finally:
        kernel_live.pop(run.run_id, None)
        await watch.stop()
        if not is_over and not run.state_of_run.is_final:
            await _release(run)
        elif run.state_of_run.status == "paused" and run.storage is None:
            run.plan.park(run.state_of_run, run.tenant)


async def _already_over(run: Run) -> AsyncIterator[Event]:
    """End the stream of a run that was cancelled before its start."""
    event = RunCancelled(run_id=run.run_id, path=run.path, reason="cancelled before its start")
    event.seq = run.state_of_run.seq
    yield event


async def _release(run: Run) -> None:
    """Give up the lease of a run that was interrupted, so that it can be resumed at once."""
    release = asyncio.ensure_future(save_record(run, is_live=False))
    try:
        await asyncio.shield(release)
    except asyncio.CancelledError:
        await release
        raise


async def finish(run: Run) -> RunResult:
    """Work on a claimed run to its end and return the result, or raise what it failed with."""
    last: Event | None = None
    async for event in work(run):
        last = event
    if isinstance(last, RunFailed):
        error = last.exception or RunError(last.error.message, run_id=run.run_id)
        if getattr(error, "run_id", None) != run.run_id and not isinstance(error, RunError):
            error.add_note(f"run {run.run_id} failed; resume it by this id once the cause is mended")
            error.run_id = run.run_id  # type: ignore[attr-defined]  # every error of a run tells which
        raise error
    return make_result(run.state_of_run, run.plan)


async def cancel(agent: Front, run_id: str, reason: str, tenant: str) -> bool:
    """Cancel a run, wherever it works."""
    plan = await agent.plan()
    run = agent.kernel.live.get(run_id)
    run = run if run is not None and run.tenant == tenant else None
    if plan.storage is not None:
        was_open = await cancel_run(plan.storage, tenant, run_id, reason)
    elif run is not None and not run.state_of_run.is_final:
        await run.journal.append(RunCancelled(reason=reason, usage=run.usage))
        was_open = True
    else:
        parked = agent.kernel.parked.pop(run_id, None)
        was_open = parked is not None
    if run is not None:
        run.loop.call_soon_threadsafe(run.interrupt.fire)
    return was_open
