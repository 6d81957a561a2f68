"""Tool calls: which may run, which need a person first, and running them side by side."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from difflib import get_close_matches
from time import perf_counter
from typing import TypeAlias

from attrs import define, evolve, field

from ergaster.codec import dump_json
from ergaster.contracts.toolkit import Tool, ToolOutput
from ergaster.errors import (
    InvalidArguments,
    InvalidDecision,
    InvalidInput,
    LimitReached,
    PauseRun,
    RetryTool,
    RunCancelledError,
    RunFenced,
    RunFinished,
    StopRun,
    ToolDenied,
    ToolError,
    ToolTimeout,
)
from ergaster.events import (
    ApprovalRequested,
    Decision,
    ErrorInfo,
    Event,
    Pending,
    PendingKind,
    RunPaused,
    ToolCompleted,
    ToolFailed,
    ToolStarted,
)
from ergaster.invoke import checked, invoke_tool, parse_arguments
from ergaster.messages import Json, JsonObject, ToolCall, ToolResult
from ergaster.nesting import ChildPaused
from ergaster.run import Closing, Interrupted, Run
from ergaster.sessions import save_run
from ergaster.state import CallState
from ergaster.tools import to_output

__all__ = ["arguments_hash", "check_decision", "run_tools"]

Outcome: TypeAlias = ToolCompleted | ToolFailed


@define
class Ready:
    """A call that may run now, with its final arguments."""

    call: ToolCall
    tool: Tool
    arguments: JsonObject
    attempt: int = 1


@define
class Triage:
    """What is to be done about the open calls of a reply."""

    ready: list[Ready] = field(factory=list)
    outcomes: list[Outcome] = field(factory=list)
    questions: list[Pending] = field(factory=list)


def arguments_hash(call: ToolCall) -> str:
    """Return the SHA-256 of a call's name and exact arguments: what a decision is bound to."""
    return hashlib.sha256(f"{call.name}\0{call.arguments}".encode("utf-8", "surrogatepass")).hexdigest()


def check_decision(run: Run, decision: Decision) -> None:
    """Refuse a decision that does not answer an open question of the run.

    Raises:
        InvalidDecision: If the question is unknown or decided, or was put about other arguments.
    """
    state = run.state_of_run
    pending = state.pending.get(decision.pending_id)
    if pending is None:
        known = ", ".join(repr(each.id) for each in state.undecided) or "none"
        raise InvalidDecision(
            f"run {run.run_id} asks no question {decision.pending_id!r}; open are: {known}", run_id=run.run_id
        )
    if decision.pending_id in state.decisions:
        raise InvalidDecision(
            f"question {decision.pending_id!r} was decided before; the first decision holds", run_id=run.run_id
        )
    if decision.arguments_hash not in (None, pending.arguments_hash):
        raise InvalidDecision(
            f"question {decision.pending_id!r} is about other arguments than were decided on", run_id=run.run_id
        )


async def run_tools(run: Run) -> AsyncIterator[Event]:
    """Run the open calls of the last reply; pause the run when some of them need a person."""
    triage = _sort_calls(run)
    events: list[Event] = [
        ToolStarted(call=each.call, idempotency_key=f"{run.run_id}:{each.call.id}", attempt=each.attempt)
        for each in triage.ready
    ]
    if triage.outcomes or events:
        await run.interrupt.guard(run.journal.append(*triage.outcomes, *events))
        run.budget.spend(tool_calls=sum(each.attempt == 1 for each in triage.ready))
    for event in run.drain():
        yield event
    if len(triage.ready) == 1 and not run.is_streaming:
        triage.questions.extend(await run.interrupt.guard(_run_one(run, triage.ready[0], None)))
        for event in run.drain():
            yield event
    elif triage.ready:
        async with Closing(_run_side_by_side(run, triage)) as reported:
            async for event in reported:
                yield event
    if triage.questions:
        await run.interrupt.guard(_pause(run, triage.questions))
        for event in run.drain():
            yield event


async def _pause(run: Run, questions: list[Pending]) -> None:
    await run.save_states()
    known = run.state_of_run.pending
    new = [ApprovalRequested(pending=pending) for pending in questions if pending.id not in known]
    await run.journal.append(*new, RunPaused(pending=tuple(questions)))
    if run.storage is not None:
        await save_run(run.storage, run.tenant, run.state_of_run, created_at=run.created_at, is_live=False)


def _sort_calls(run: Run) -> Triage:
    triage = Triage()
    left = run.budget.tool_calls_left()
    for call in run.state_of_run.open_calls:
        if left is not None and len(triage.ready) >= left and not call.epoch:
            error: Exception = LimitReached(
                "not run: the limit of tool calls is reached; give the final answer with what is known",
                run_id=run.run_id,
                limit="tool_calls",
            )
            triage.outcomes.append(_failed(call.call, error))
            run.budget.refused_tool_call = True
            continue
        try:
            found = _judge(run, call)
        except (ToolError, InvalidInput) as refusal:
            triage.outcomes.append(_failed(call.call, refusal))
            continue
        if isinstance(found, Ready):
            triage.ready.append(found)
        elif isinstance(found, Pending):
            triage.questions.append(found)
        else:
            triage.outcomes.append(found)
    return triage


def _judge(run: Run, state: CallState) -> Ready | Pending | Outcome:
    """Decide about one call: run it, ask somebody, or take what was decided as its outcome."""
    call = state.call
    tool = run.plan.tools.get(call.name)
    if tool is None:
        near = get_close_matches(call.name, run.plan.tools, n=3) or sorted(run.plan.tools)
        raise ToolError(f"there is no tool {call.name!r}; the tools are: {', '.join(near) or 'none'}", tool=call.name)
    arguments = parse_arguments(call)
    verdict: Decision | Pending | Outcome | None
    if (asked := run.state_of_run.pending.get(f"{call.id}:question")) is not None:
        verdict = _gate(run, call, "question", asked.question)
        return _completed(call, to_output(verdict.value), tool) if isinstance(verdict, Decision) else verdict
    if state.epoch and not tool.idempotent:
        question = f"{call.name} was interrupted; it may have acted already. Run it again?"
        verdict = _gate(run, call, "unfinished", question)
        if not isinstance(verdict, Decision):
            return verdict
        if verdict.verdict == "result":
            return _completed(call, to_output(verdict.value), tool)
    if (verdict := _consent(run, call, tool)) is not None:
        return verdict
    if tool.ask_for:
        schema = _asked_schema(tool)
        kind: PendingKind = "choice" if all("enum" in each for each in schema["properties"].values()) else "input"
        verdict = _gate(run, call, kind, f"{call.name} needs: {', '.join(tool.ask_for)}", schema)
        if not isinstance(verdict, Decision):
            return verdict
        call, arguments = _with_answer(call, arguments, tool, verdict.value)
    if tool.invoke is None:
        verdict = _gate(run, call, "external", f"Carry out {call.name} and give its result.")
        return _completed(call, to_output(verdict.value), tool) if isinstance(verdict, Decision) else verdict
    return Ready(call, tool, checked(tool, arguments), state.attempt + 1)


def _consent(run: Run, call: ToolCall, tool: Tool) -> Pending | Outcome | None:
    """Return what keeps the call from running by policy: a question or a refusal; None when it may run."""
    ruling = run.plan.policy.rule(tool)
    if ruling == "deny":
        raise ToolDenied(f"the policy denies {call.name}: {', '.join(sorted(tool.effects))}", tool=call.name)
    gates: list[tuple[PendingKind, str]] = []
    if tool.approval is not None:
        gates.append(("approval", f"May {call.name} run? Approval by {tool.approval} is needed."))
    if ruling == "ask":
        gates.append(("confirm", f"May {call.name} run with these arguments?"))
    for kind, question in gates:
        verdict = _gate(run, call, kind, question)
        if not isinstance(verdict, Decision):
            return verdict
    return None


def _gate(
    run: Run, call: ToolCall, kind: PendingKind, question: str, schema: JsonObject | None = None
) -> Decision | Pending | ToolFailed:
    """Return the decision that lets the call pass, the question that is open, or the refusal."""
    identifier = f"{call.id}:{kind}"
    state = run.state_of_run
    decision = state.decisions.get(identifier)
    known = state.pending.get(identifier)
    if decision is None:
        if known is not None and known.expires_at is not None and known.expires_at <= datetime.now(UTC):
            return _failed(call, ToolDenied(f"nobody decided on {call.name} in time; it did not run", tool=call.name))
        return known or Pending(identifier, kind, call, question=question, schema=schema, arguments_hash=arguments_hash(call))
    if decision.verdict == "reject":
        reason = f": {decision.note}" if decision.note else ""
        error = ToolDenied(f"{call.name} was refused by a person{reason}", tool=call.name)
        return _failed(call, error, outcome_unknown=kind == "unfinished")
    return decision


def _asked_schema(tool: Tool) -> JsonObject:
    properties = tool.parameters.get("properties", {})
    chosen = {name: properties.get(name, {}) for name in tool.ask_for}
    return {"type": "object", "properties": chosen, "required": list(tool.ask_for), "additionalProperties": False}


def _with_answer(call: ToolCall, arguments: JsonObject, tool: Tool, value: Json) -> tuple[ToolCall, JsonObject]:
    if not isinstance(value, Mapping) or set(value) - set(tool.ask_for):
        wanted = ", ".join(tool.ask_for)
        raise InvalidArguments(f"the answer for {tool.name} must be an object with: {wanted}", tool=tool.name)
    merged = {**arguments, **value}
    return evolve(call, arguments=dump_json(merged)), merged


async def _run_side_by_side(run: Run, triage: Triage) -> AsyncIterator[Event]:
    """Run the ready calls at once and yield what they report; questions that tools ask join the triage."""
    slots = asyncio.Semaphore(run.plan.limits.parallel_tools)
    run.journal.on_event = run.wake.set
    tasks = {asyncio.create_task(_run_one(run, each, slots)) for each in triage.ready}
    try:
        waiting = set(tasks)
        while waiting:
            run.wake.clear()
            wake = asyncio.ensure_future(run.wake.wait())
            try:
                done, _ = await run.interrupt.guard(asyncio.wait({*waiting, wake}, return_when=asyncio.FIRST_COMPLETED))
            finally:
                wake.cancel()
            for event in run.drain():
                yield event
            for task in [each for each in waiting if each in done]:
                waiting.discard(task)
                triage.questions.extend(task.result())
    finally:
        run.journal.on_event = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for event in run.drain():
        yield event


async def _run_one(run: Run, ready: Ready, slots: asyncio.Semaphore | None) -> tuple[Pending, ...]:
    """Run one call and journal its outcome; return the questions that it asked instead."""
    call, tool = ready.call, ready.tool
    started = perf_counter()
    async with slots or nullcontext(), _own_slots(run, tool) or nullcontext():
        try:
            output = await invoke_tool(run, call, tool, ready.arguments, attempt=ready.attempt)
        except ChildPaused as pause:
            return pause.pending
        except PauseRun as pause:
            question = str(pause)
            return (Pending(f"{call.id}:question", "question", call, question=question, arguments_hash=arguments_hash(call)),)
        except StopRun as stop:
            outcome: Outcome = _completed(call, ToolOutput(str(stop)), tool, ends_run=True)
        except RetryTool as retry:
            outcome = _failed(call, ToolError(f"call {tool.name} again: {retry}", tool=tool.name))
        except (Interrupted, RunCancelledError, RunFenced, RunFinished):
            raise
        except Exception as error:  # boundary: whatever a tool raises is the model's to read
            outcome = _failed(call, error, outcome_unknown=isinstance(error, ToolTimeout) and not tool.idempotent)
        else:
            outcome = _completed(call, output, tool)
    outcome.duration = perf_counter() - started
    await run.journal.append(outcome)
    return ()


def _own_slots(run: Run, tool: Tool) -> asyncio.Semaphore | None:
    if tool.concurrency is None:
        return None
    return run.tool_slots.setdefault(tool.name, asyncio.Semaphore(tool.concurrency))


def _completed(call: ToolCall, output: ToolOutput, tool: Tool, *, ends_run: bool = False) -> ToolCompleted:
    content = output.content
    if len(content) > tool.result_limit:
        content = f"{content[: tool.result_limit]}\n[… {len(content) - tool.result_limit} characters cut]"
    result = ToolResult(call.id, call.name, content=content, media=output.media)
    return ToolCompleted(result=result, ends_run=ends_run or tool.ends_run, shown=tool.shows_result)


def _failed(call: ToolCall, error: Exception, *, outcome_unknown: bool = False) -> ToolFailed:
    text = str(error) or type(error).__name__
    problems = getattr(error, "problems", ())
    shown = text if isinstance(error, ToolError | InvalidInput | LimitReached) else f"{type(error).__name__}: {text}"
    shown += "".join(f"\n- {problem}" for problem in problems if problem not in text)
    result = ToolResult(call.id, call.name, content=shown[:20_000], is_error=True)
    info = ErrorInfo(type(error).__name__, text[:20_000], bool(getattr(error, "can_retry", False)))
    return ToolFailed(result=result, error=info, outcome_unknown=outcome_unknown)
