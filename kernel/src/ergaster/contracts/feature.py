"""The contract of a feature: everything of an agent that is not its loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from enum import IntEnum
from typing import TypeAlias

from ergaster.contracts.context import RunContext, ToolContext
from ergaster.contracts.model import Delta, ModelRequest, ModelResponse
from ergaster.contracts.toolkit import Tool, ToolOutput
from ergaster.events import Event
from ergaster.messages import Message, ToolCall

__all__ = ["CallModel", "CallTool", "Feature", "RunStream", "Stage"]

CallModel: TypeAlias = Callable[[ModelRequest], AsyncIterator[Delta | ModelResponse]]
CallTool: TypeAlias = Callable[[ToolCall], Awaitable[ToolOutput]]
RunStream: TypeAlias = Callable[[], AsyncIterator[Event]]


class Stage(IntEnum):
    """Where a feature stands: lower stages wrap the higher ones; ties by the order of naming."""

    GUARD = 10
    HISTORY = 20
    KNOWLEDGE = 30
    LEARNING = 40
    REASONING = 50
    COMPACTION = 60
    FALLBACK = 65
    CACHE = 70
    TRACE = 80


class Feature:
    """Any subset of these methods; those that a subclass does not override cost nothing.

    One feature object serves all runs of an agent at once. What belongs to a run lives in `context.state(self)`;
    costly or effectful work goes through `context.step(name, fn)`, so that a resumed run does not repeat it.
    """

    name: str = ""
    """The name by which its state is kept; set to the plugin's name by the kernel when empty."""
    stage: Stage = Stage.TRACE

    async def open(self) -> None:
        """Open what it needs; called once before the first run."""

    async def close(self) -> None:
        """Close it; called when the kernel closes."""

    def tools(self) -> Sequence[Tool]:
        """Return tools to add to the agent's."""
        return ()

    async def instructions(self, context: RunContext) -> str:
        """Return text for the system prompt; it must be the same for every step of a run."""
        return ""

    async def messages(self, context: RunContext) -> Sequence[Message]:
        """Return messages to put before the run's own; called once for each process that works on the run."""
        return ()

    def around_run(self, context: RunContext, run: RunStream) -> AsyncIterator[Event]:
        """Wrap a run: an asynchronous generator that yields the events of `run()`; the terminal event comes last."""
        return run()

    def around_model(self, request: ModelRequest, context: RunContext, call: CallModel) -> AsyncIterator[Delta | ModelResponse]:
        """Wrap a model call: an asynchronous generator that yields from `call(request)`; the response comes last."""
        return call(request)

    async def around_tool(self, tool_call: ToolCall, context: ToolContext, call: CallTool) -> ToolOutput:
        """Wrap a tool call."""
        return await call(tool_call)

    async def after_run(self, context: RunContext) -> None:
        """Look at a run that has its answer, just before it is completed; what takes time is queued, not awaited.

        After a crash in between it is called again, so that nothing is lost; `context.step` does a thing once.
        """
