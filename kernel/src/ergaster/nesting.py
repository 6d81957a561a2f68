"""A runnable as a tool: its run is a child of the caller's, re-entered after a crash and never repeated."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, cast

from attrs import evolve

from ergaster.contracts.context import ToolContext
from ergaster.contracts.runnable import Runnable
from ergaster.contracts.toolkit import Tool, ToolOutput
from ergaster.errors import InvalidDecision, PauseRun, RunError, ToolError, UnknownRun
from ergaster.events import Decision, Event, Pending, RunCancelled, RunCompleted, RunFailed, RunPaused
from ergaster.messages import JsonObject
from ergaster.run import CallContext

__all__ = ["ChildPaused", "runnable_tool"]


class ChildPaused(PauseRun):
    """A nested run waits for decisions; they are asked for by the outer run, under the call's id."""

    def __init__(self, pending: tuple[Pending, ...]) -> None:
        super().__init__("a nested run waits for a decision")
        self.pending = pending


def runnable_tool(runnable: Runnable) -> Tool:
    """Return a tool that runs *runnable* on a text and gives its answer."""

    async def invoke(arguments: JsonObject, context: ToolContext) -> ToolOutput:
        call = cast(CallContext, context)
        last: Event | None = None
        async for event in _child_events(runnable, str(arguments.get("input", "")), call):
            call.run.journal.forward(event)
            last = event if event.run_id == _child_id(call) else last
        match last:
            case RunCompleted():
                return ToolOutput(last.text, data=last.output)
            case RunPaused():
                raise ChildPaused(tuple(evolve(each, id=f"{call.call_id}/{each.id}") for each in last.pending))
            case RunFailed():
                raise ToolError(f"{runnable.name} failed: {last.error.message}", tool=runnable.name)
            case RunCancelled():
                raise ToolError(f"{runnable.name} was cancelled", tool=runnable.name)
            case _:
                raise RunError(f"{runnable.name} ended its stream without a terminal event", run_id=call.run_id)

    return Tool(
        name=re.sub(r"[^A-Za-z0-9_-]", "_", runnable.name)[:64],
        description=runnable.description or f"Ask {runnable.name}.",
        parameters={
            "type": "object",
            "properties": {"input": {"type": "string", "description": "What it is to do, with all that it needs to know."}},
            "required": ["input"],
            "additionalProperties": False,
        },
        invoke=invoke,
        idempotent=True,
    )


def _child_id(call: CallContext) -> str:
    return f"{call.run.run_id}.{call.call_id}"


async def _child_events(runnable: Runnable, text: str, call: CallContext) -> AsyncIterator[Event]:
    """Start the child on the first try; on a later one continue it, with the decisions that were made for it."""
    parent: Any = call
    child_id = _child_id(call)
    if call.attempt > 1:
        decisions = _decisions_for(call)
        for given in (decisions, ()):
            try:
                async for event in runnable.aresume_stream(child_id, given, force=True, parent=parent):
                    yield event
            except InvalidDecision:
                continue  # the child had taken them in before the crash
            except UnknownRun:
                break  # the crash came before the child's first entry
            else:
                return
    async for event in runnable.astream(text, run_id=child_id, parent=parent):
        yield event


def _decisions_for(call: CallContext) -> list[Decision]:
    prefix = f"{call.call_id}/"
    decisions = call.run.state_of_run.decisions.values()
    return [
        evolve(each, pending_id=each.pending_id.removeprefix(prefix))
        for each in decisions
        if each.pending_id.startswith(prefix)
    ]
