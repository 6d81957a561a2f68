"""The feature."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterator
from contextlib import aclosing
from time import monotonic
from typing import cast

from attrs import define, evolve, field

from ergaster.codec import dump_json, encode
from ergaster.contracts.context import RunContext
from ergaster.contracts.feature import CallModel, Feature, Stage
from ergaster.contracts.model import Delta, Model, ModelRequest, ModelResponse
from ergaster.messages import Message, Reasoning, StopReason, Text, ToolCall, Usage
from ergaster_cache.shelf import Shelf

__all__ = ["Cache"]

_WHOLE = frozenset({StopReason.STOP, StopReason.TOOL_CALLS})


@define(eq=False)
class Cache(Feature):
    """Answers a request that was answered before, in this process, for the same tenant, user and model.

    Attributes:
        ttl: Seconds for which a reply is kept.
        size: Most replies of this agent that are kept; the one that was used the longest ago makes room.
    """

    ttl: float = 3600.0
    size: int = field(default=1000, kw_only=True)
    name: str = field(default="cache", init=False)
    stage: Stage = field(default=Stage.CACHE, init=False)
    _shelf: Shelf[tuple[Model | None, ModelResponse]] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.ttl <= 0 or self.size < 1:
            raise ValueError("ttl has to be more than 0 seconds, and size 1 or more")
        self._shelf = Shelf(self.ttl, self.size)

    async def around_model(
        self, request: ModelRequest, context: RunContext, call: CallModel
    ) -> AsyncIterator[Delta | ModelResponse]:
        """Yield the reply that is kept, or the model's, which is kept if it is whole."""
        key = _key(request, context)
        kept = self._shelf.get(key, monotonic())
        if kept is not None:
            for delta in _deltas(kept[1].message):
                yield delta
            yield kept[1]
            return
        async with aclosing(cast("AsyncGenerator[Delta | ModelResponse]", call(request))) as items:
            async for item in items:
                if isinstance(item, ModelResponse) and item.stop_reason in _WHOLE:
                    # The model stays with its reply: no other object gets its identity while the key holds it.
                    self._shelf.put(key, (request.model, evolve(item, usage=Usage())), monotonic())
                yield item


def _key(request: ModelRequest, context: RunContext) -> Hashable:
    """Return what a reply is kept under; user and tenant stand beside the digest, not only in it."""
    text = dump_json(encode(evolve(request, model=None, retries=None)))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return (context.tenant, context.user_id, id(request.model), digest)


def _deltas(message: Message) -> Iterator[Delta]:
    index = 0
    for part in message.parts:
        if isinstance(part, Text | Reasoning) and part.text:
            yield Delta("text" if isinstance(part, Text) else "reasoning", part.text)
        elif isinstance(part, ToolCall):
            yield Delta("tool_arguments", part.arguments, index, part.id, part.name)
            index += 1
