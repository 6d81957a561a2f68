"""A model that says what it is told: for tests, examples and documentation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeAlias, cast

from attrs import define, field

from ergaster.contracts.model import Capabilities, Delta, Model, ModelRequest, ModelResponse
from ergaster.errors import ErgasterError
from ergaster.messages import Message, Part, Reasoning, StopReason, Text, ToolCall, Usage

__all__ = ["Reply", "ScriptedModel"]

Reply: TypeAlias = str | Part | Message | ModelResponse | Exception | Sequence[Part]
"""A text, a tool call, several parts, a whole message or response, or an error to raise."""

Script: TypeAlias = Iterable[Reply] | Callable[[ModelRequest], Reply]


@define(eq=False, repr=False)
class ScriptedModel(Model):
    """Answers with the given replies, one for each call, and records the requests.

    Attributes:
        replies: The replies in order, or a function that makes one from the request.
        piece: Characters in each piece of a stream.
        requests: Every request, in order.

    Raises:
        ErgasterError: From a call, when the replies are used up.
    """

    replies: Script = ()
    piece: int = field(default=5, kw_only=True)
    provider: str = field(default="scripted", kw_only=True)
    name: str = field(default="scripted", kw_only=True)
    capabilities: Capabilities = field(
        default=Capabilities(images=True, audio=True, video=True, files=True, reasoning=True), kw_only=True
    )
    requests: list[ModelRequest] = field(factory=list, init=False)
    _iterator: Callable[[ModelRequest], Reply] | None = field(default=None, init=False)

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """Return the next reply."""
        return self._next(request)

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Yield the next reply in pieces."""
        response = self._next(request)
        index = 0
        for part in response.message.parts:
            if isinstance(part, ToolCall):
                for piece in self._pieces(part.arguments):
                    yield Delta("tool_arguments", piece, index, part.id, part.name)
                index += 1
            elif isinstance(part, Text | Reasoning):
                for piece in self._pieces(part.text):
                    yield Delta("text" if isinstance(part, Text) else "reasoning", piece)
        yield response

    def _pieces(self, text: str) -> Iterable[str]:
        return (text[start : start + self.piece] for start in range(0, len(text), self.piece))

    def _next(self, request: ModelRequest) -> ModelResponse:
        self.requests.append(request)
        if self._iterator is None:
            self._iterator = self.replies if callable(self.replies) else _from(iter(self.replies))
        reply = self._iterator(request)
        if isinstance(reply, Exception):
            raise reply
        return _response(reply, self.name)


def _from(replies: Iterable[Reply]) -> Callable[[ModelRequest], Reply]:
    iterator = iter(replies)

    def next_reply(_: ModelRequest) -> Reply:
        try:
            return next(iterator)
        except StopIteration:
            raise ErgasterError(
                "the scripted model has no reply left; give it one more for each model call that the test expects"
            ) from None

    return next_reply


def _response(reply: Reply, name: str) -> ModelResponse:
    if isinstance(reply, ModelResponse):
        return reply
    message = reply if isinstance(reply, Message) else Message("assistant", cast("str | Part | list[Part]", reply))
    stop = StopReason.TOOL_CALLS if message.tool_calls else StopReason.STOP
    written = sum(len(getattr(part, "text", "") or getattr(part, "arguments", "")) for part in message.parts)
    return ModelResponse(message=message, stop_reason=stop, usage=Usage(10, max(1, written // 4)), model=name)
