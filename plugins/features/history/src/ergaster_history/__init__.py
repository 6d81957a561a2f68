"""Session history: the last turns of a conversation, put before the run's own messages."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, evolve, field

from ergaster.contracts.context import RunContext, Turn
from ergaster.contracts.feature import Feature, Stage
from ergaster.messages import Audio, File, Image, Message, Reasoning, Text, ToolCall, ToolResult, Video

__all__ = ["History"]

_CHARACTERS_PER_TOKEN = 3.6
_TOKENS_PER_MEDIA = 1000


@define(eq=False)
class History(Feature):
    """Shows the model the newest turns of the session, within a number of turns and of tokens.

    Whole turns are left out, the oldest first, so that every call keeps its result. What a run sees is bounded by the
    place in the session at which it began: a resumed run sees the same.

    Attributes:
        turns: The most turns to show.
        tokens: The most tokens, estimated as a character count over 3.6; the newest turn is cut out only if it alone
            exceeds them.
        tool_calls: Whether calls and their results are shown, or only what was said.
    """

    turns: int = 20
    tokens: int = 6000
    tool_calls: bool = field(default=True, kw_only=True)
    name: str = field(default="history", init=False)
    stage: Stage = field(default=Stage.HISTORY, init=False)

    async def messages(self, context: RunContext) -> Sequence[Message]:
        """Return the messages of the turns that fit, oldest first."""
        chosen: list[Sequence[Message]] = []
        left = float(self.tokens)
        for turn in reversed(await context.turns(self.turns)):
            messages = self._shown(turn)
            left -= sum(map(_tokens, messages))
            if left < 0:
                break
            chosen.append(messages)
        return [message for messages in reversed(chosen) for message in messages]

    def _shown(self, turn: Turn) -> Sequence[Message]:
        messages = (message for message in turn.messages if message.role != "system")
        return [shown for shown in map(self._without_hidden, messages) if shown.parts]

    def _without_hidden(self, message: Message) -> Message:
        hidden: tuple[type, ...] = () if self.tool_calls else (ToolCall, ToolResult, Reasoning)
        if not any(isinstance(part, hidden) for part in message.parts):
            return message
        return evolve(message, parts=tuple(part for part in message.parts if not isinstance(part, hidden)))


def _tokens(message: Message) -> float:
    total = 0.0
    for part in message.parts:
        if isinstance(part, Text | Reasoning):
            total += len(part.text) / _CHARACTERS_PER_TOKEN
        elif isinstance(part, ToolCall):
            total += (len(part.name) + len(part.arguments)) / _CHARACTERS_PER_TOKEN
        elif isinstance(part, ToolResult):
            total += len(part.content) / _CHARACTERS_PER_TOKEN + _TOKENS_PER_MEDIA * len(part.media)
        elif isinstance(part, Image | Audio | Video | File):
            total += _TOKENS_PER_MEDIA
    return total + 4
