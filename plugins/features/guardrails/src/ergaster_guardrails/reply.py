"""A reply on its way out: what of it may be shown, and what of it is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator

from attrs import evolve

from ergaster.codec import dump_json, load_json
from ergaster.contracts.context import RunContext
from ergaster.contracts.model import Delta, ModelResponse
from ergaster.errors import ContentBlocked, InvalidInput
from ergaster.messages import Citation, Message, Part, Reasoning, StopReason, Text, ToolCall
from ergaster_guardrails.panel import Panel
from ergaster_guardrails.window import Window

__all__ = ["Gate", "guarded_call"]


class Gate:
    """One reply: pieces go in as they come, what may be shown comes out, and at the end the reply as it is kept."""

    def __init__(self, panel: Panel, context: RunContext, size: int) -> None:
        self._panel = panel
        self._context = context
        self._window = Window(lambda text: panel.check("output", text, context), size)
        self._kind: str = "text"
        self._is_streamed = False
        self._has_held_calls = False
        self._refusal: ContentBlocked | None = None

    async def feed(self, delta: Delta) -> AsyncIterator[Delta]:
        """Yield what may be shown now that *delta* has come; after a block, nothing."""
        self._is_streamed = True
        if self._refusal is not None:
            return  # it goes on being read, since what it costs is told at its end
        if delta.kind == "tool_arguments" and "tool_arguments" in self._panel.stages:
            self._has_held_calls = True
            return
        try:
            if delta.kind != self._kind:
                if text := await self._window.flush():
                    yield self._delta(text)
                self._kind = delta.kind
            if delta.kind == "tool_arguments" or "output" not in self._panel.stages:
                yield delta
            elif text := await self._window.feed(delta.text):
                yield self._delta(text)
        except ContentBlocked as blocked:
            self._refusal = blocked
            yield Delta("text", str(blocked))

    async def finish(self, response: ModelResponse) -> AsyncIterator[Delta | ModelResponse]:
        """Yield the rest of what may be shown, and the reply; one that is blocked becomes a refusal with the reason."""
        if self._refusal is None:
            try:
                message = await self._reply(response.message)
                if text := await self._window.flush():
                    yield self._delta(text)
            except ContentBlocked as blocked:
                self._refusal = blocked
                if self._is_streamed:
                    yield Delta("text", str(blocked))
            else:
                for index, call in enumerate(message.tool_calls if self._has_held_calls else ()):
                    yield Delta("tool_arguments", call.arguments, index, call.id, call.name)
                yield response if message is response.message else evolve(response, message=message)
                return
        yield evolve(response, message=Message("assistant", str(self._refusal)), stop_reason=StopReason.REFUSAL)

    def _delta(self, text: str) -> Delta:
        return Delta("reasoning" if self._kind == "reasoning" else "text", text)

    async def _reply(self, message: Message) -> Message:
        parts = tuple([await self._part(part) for part in message.parts])
        if parts == message.parts:
            return message
        return evolve(message, parts=parts, provider_data={})  # a provider's own copy holds the text as it was

    async def _part(self, part: Part) -> Part:
        if isinstance(part, Text | Reasoning | Citation):
            text = await self._panel.check("output", part.text, self._context)
            if text == part.text:
                return part
            return evolve(part, text=text, signature=None) if isinstance(part, Reasoning) else evolve(part, text=text)
        if isinstance(part, ToolCall):
            try:
                return await guarded_call(self._panel, part, self._context)
            except ContentBlocked:
                return part  # it is refused when its turn comes, which the model can read
        return part


async def guarded_call(panel: Panel, call: ToolCall, context: RunContext) -> ToolCall:
    """Return a call with the arguments that may pass; they are checked without escapes, which could hide anything."""
    if "tool_arguments" not in panel.stages:
        return call
    try:
        content = dump_json(load_json(call.arguments.strip() or "{}"))
    except InvalidInput:
        return call  # the kernel refuses it
    passed = await panel.check("tool_arguments", content, context)
    if passed == content:
        return call
    try:
        load_json(passed)
    except InvalidInput as error:
        reason = "a guardrail left arguments that are no JSON"
        raise ContentBlocked(reason, stage="tool_arguments", reason=reason) from error
    return evolve(call, arguments=passed)
