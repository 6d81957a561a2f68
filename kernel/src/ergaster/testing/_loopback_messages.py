"""What a model says, written as Messages, whole or as events."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ergaster.messages import Usage
from ergaster.testing._loopback_wire import JsonDict, Reply, pieces

__all__ = ["messages_body", "messages_events"]

_STOP = {"length": "max_tokens", "content_filter": "refusal"}


def messages_body(reply: Reply) -> JsonDict:
    """Return a whole reply of Messages."""
    return {**_head(reply), "content": _blocks(reply), "stop_reason": _stop_reason(reply), "usage": _usage(reply.usage)}


def messages_events(reply: Reply) -> Iterator[JsonDict]:
    """Return the events of Messages; the counts come twice, and the second ones stand."""
    usage = {**_usage(reply.usage), "output_tokens": 1, "output_tokens_details": None}
    yield {"type": "message_start", "message": {**_head(reply), "content": [], "stop_reason": None, "usage": usage}}
    for index, block in enumerate(_blocks(reply)):
        yield from _block_events(index, block, reply.piece)
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": _stop_reason(reply), "stop_sequence": None},
        "usage": _usage(reply.usage),
    }
    if reply.done:
        yield {"type": "message_stop"}


def _head(reply: Reply) -> JsonDict:
    return {"id": reply.id, "type": "message", "role": "assistant", "model": reply.model, "stop_sequence": None}


def _stop_reason(reply: Reply) -> str:
    if reply.refusal:
        return "refusal"
    return _STOP.get(reply.finish or "", reply.finish) or ("tool_use" if reply.calls else "end_turn")


def _usage(usage: Usage) -> JsonDict:
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }


def _blocks(reply: Reply) -> list[JsonDict]:
    blocks: list[JsonDict] = []
    if reply.reasoning or reply.signature:
        blocks.append({"type": "thinking", "thinking": reply.reasoning, "signature": reply.signature or ""})
    if reply.text or reply.refusal:
        blocks.append({"type": "text", "text": reply.text or reply.refusal, "citations": None})
    for call in reply.calls:
        named = {"id": call.id} if call.id else {}
        blocks.append({"type": "tool_use", **named, "name": call.name, "input": _Input(call.arguments)})
    return blocks


class _Input(dict):  # type: ignore[type-arg]  # a JSON object
    """The arguments of a call as an object, with the text that a stream cuts into pieces."""

    def __init__(self, text: str) -> None:
        super().__init__(json.loads(text))
        self.text = text


def _block_events(index: int, block: JsonDict, size: int) -> Iterator[JsonDict]:
    def delta(kind: str, name: str, text: str) -> Iterator[JsonDict]:
        for piece in pieces(text, size):
            yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}}

    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    opened = {name: empty.get(name, value) for name, value in block.items()}
    yield {"type": "content_block_start", "index": index, "content_block": opened}
    if index == 0:
        yield {"type": "ping"}
    yield from delta("thinking_delta", "thinking", block.get("thinking", ""))
    if block.get("signature"):
        yield {
            "type": "content_block_delta",
            "index": index,
            "delta": {"type": "signature_delta", "signature": block["signature"]},
        }
    yield from delta("text_delta", "text", block.get("text", ""))
    if block["type"] == "tool_use" and block["input"]:
        yield from delta("input_json_delta", "partial_json", block["input"].text)
    yield {"type": "content_block_stop", "index": index}
