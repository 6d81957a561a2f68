"""The feature: where the guardrails stand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import cast

from attrs import define, evolve, field

from ergaster.contracts.context import RunContext, ToolContext
from ergaster.contracts.feature import CallModel, CallTool, Feature, RunStream, Stage
from ergaster.contracts.guardrail import Guardrail, GuardStage
from ergaster.contracts.model import Delta, ModelRequest, ModelResponse
from ergaster.contracts.toolkit import ToolOutput
from ergaster.errors import ContentBlocked, ToolDenied, ToolError
from ergaster.events import Event
from ergaster.messages import Message, Part, Text, ToolCall, ToolResult
from ergaster_guardrails.panel import Panel, assemble
from ergaster_guardrails.reply import Gate, guarded_call

__all__ = ["Guardrails"]


@define(eq=False)
class Guardrails(Feature):
    """Puts guardrails before the model, behind it, and around tools.

    Attributes:
        guards: The guardrails in order: names, tables with `use` and options, or objects.
        window: Characters of a streamed reply that are held back, so that what is no longer than this is seen whole
            before a part of it is shown; 0 holds back the whole reply.
    """

    guards: Sequence[object] = field()
    window: int = field(default=256, kw_only=True)
    name: str = field(default="guardrails", init=False)
    stage: Stage = field(default=Stage.GUARD, init=False)
    _panel: Panel | None = field(default=None, init=False)
    _known: dict[str, dict[int, tuple[Message, Message]]] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for given in self.guards:
            if not isinstance(given, str | Guardrail) and not (
                isinstance(given, Mapping) and isinstance(given.get("use"), str)
            ):
                raise TypeError('a guardrail is a name, a table {use = "…"} with options, or a Guardrail')
        if not self.guards:
            raise ValueError("name at least one guardrail")
        if self.window < 0:
            raise ValueError("window has to be 0 or more characters")

    def panel(self, context: RunContext) -> Panel:
        """Return the guardrails; they are looked up at the first use."""
        if self._panel is None:
            self._panel = assemble(self.guards, context)
        return self._panel

    async def around_run(self, context: RunContext, run: RunStream) -> AsyncIterator[Event]:
        """Refuse an input that a guardrail blocks, before anything is sent."""
        panel = self.panel(context)
        self._known[context.run_id] = {}
        try:
            for message in context.input:
                for part in message.parts:
                    if isinstance(part, Text):
                        await panel.check("input", part.text, context)
            async with aclosing(cast("AsyncGenerator[Event]", run())) as events:
                async for event in events:
                    yield event
        finally:
            self._known.pop(context.run_id, None)

    async def around_model(
        self, request: ModelRequest, context: RunContext, call: CallModel
    ) -> AsyncIterator[Delta | ModelResponse]:
        """Send the messages as they may pass, and show of the reply what may be shown."""
        panel = self.panel(context)
        if panel.stages & {"input", "tool_result"}:
            request = evolve(request, messages=tuple([await self._guarded(each, context) for each in request.messages]))
        gate = Gate(panel, context, self.window)
        async with aclosing(cast("AsyncGenerator[Delta | ModelResponse]", call(request))) as items:
            async for item in items:
                async for passed in gate.finish(item) if isinstance(item, ModelResponse) else gate.feed(item):
                    yield passed

    async def around_tool(self, tool_call: ToolCall, context: ToolContext, call: CallTool) -> ToolOutput:
        """Check the arguments, call, and check the result."""
        panel = self.panel(context)
        try:
            passed = await guarded_call(panel, tool_call, context)
        except ContentBlocked as blocked:
            raise ToolDenied(f"not run: {blocked}", tool=tool_call.name) from blocked
        output = await call(passed)
        try:
            content = await panel.check("tool_result", output.content, context)
        except ContentBlocked as blocked:
            raise ToolError(f"{tool_call.name} ran, but its result is withheld: {blocked}", tool=tool_call.name) from blocked
        return output if content == output.content else evolve(output, content=content)

    async def _guarded(self, message: Message, context: RunContext) -> Message:
        """Return a message as the model may see it; the same object for the same message of a run."""
        if message.role not in ("user", "tool"):
            return message
        known = self._known.get(context.run_id, {})
        if id(message) not in known:
            parts = tuple([await self._guarded_part(part, context) for part in message.parts])
            known[id(message)] = (message, message if parts == message.parts else evolve(message, parts=parts))
        return known[id(message)][1]

    async def _guarded_part(self, part: Part, context: RunContext) -> Part:
        if isinstance(part, Text):
            return Text(await self._or_withheld("input", part.text, context))
        if isinstance(part, ToolResult):
            return evolve(part, content=await self._or_withheld("tool_result", part.content, context))
        return part

    async def _or_withheld(self, stage: GuardStage, content: str, context: RunContext) -> str:
        """Check what came earlier; what is blocked now leaves a note, since the conversation has to go on."""
        try:
            return await self.panel(context).check(stage, content, context)
        except ContentBlocked as blocked:
            return f"[withheld by the guardrail {blocked.guardrail}: {blocked.reason}]"
