"""What a model says, written as Chat Completions or as Responses, whole or as events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from attrs import field, frozen

from ergaster.messages import ToolCall, Usage

__all__ = ["JsonDict", "Reply", "chat_body", "chat_events", "pieces", "responses_body", "responses_events"]

JsonDict: TypeAlias = dict[str, Any]
"""An object of the wire."""


@frozen(kw_only=True)
class Reply:
    """What the scripted model answers.

    Attributes:
        text: The answer.
        calls: Tool calls; a call whose id is empty is sent without one.
        reasoning: What it thought.
        reasoning_field: The field of Chat Completions that carries it.
        signature: The encrypted reasoning, for Responses.
        refusal: A refusal instead of an answer.
        finish: The reason to stop; by default `stop` or `tool_calls`.
        usage: What it used.
        piece: Characters of one streamed piece.
        done: Whether a stream of Chat Completions ends with `[DONE]`.
        framing: How events are cut into lines and packets: `lf`, `crlf`, `cr`, `multiline` (one value on several data
            lines), `comments`, or `bytes` (one packet a byte).
        model: The model's name in the reply.
        id: The reply's name.
        body: A whole body to send instead, as it is.
        events: Events to send instead, as they are.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    reasoning_field: str = "reasoning_content"
    signature: str | None = None
    refusal: str = ""
    finish: str | None = None
    usage: Usage = field(factory=lambda: Usage(10, 5))
    piece: int = 4
    done: bool = True
    framing: str = "lf"
    model: str = "loopback-1"
    id: str = "reply-1"
    body: JsonDict | None = None
    events: tuple[JsonDict, ...] | None = None


def _finish(reply: Reply) -> str:
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def pieces(text: str, size: int) -> list[str]:
    """Cut *text* into pieces of *size* characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def _chat_usage(usage: Usage) -> JsonDict:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": usage.input_audio_tokens},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
        },
    }


def chat_body(reply: Reply) -> JsonDict:
    """Return a whole reply of Chat Completions."""
    message: JsonDict = {"role": "assistant", "content": reply.text or None, "refusal": reply.refusal or None}
    if reply.reasoning:
        message[reply.reasoning_field] = reply.reasoning
    if reply.calls:
        message["tool_calls"] = [
            {**({"id": call.id} if call.id else {}), "type": "function", "function": _function(call)} for call in reply.calls
        ]
    return {
        "id": reply.id,
        "object": "chat.completion",
        "created": 1,
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(reply)}],
        "usage": _chat_usage(reply.usage),
    }


def _function(call: ToolCall) -> JsonDict:
    return {"name": call.name, "arguments": call.arguments}


def chat_events(reply: Reply) -> Iterator[JsonDict]:
    """Return the events of Chat Completions."""
    head = {"id": reply.id, "object": "chat.completion.chunk", "created": 1, "model": reply.model}

    def chunk(delta: JsonDict, finish: str | None = None) -> JsonDict:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(reply.reasoning, reply.piece):
        yield chunk({reply.reasoning_field: piece})
    for piece in pieces(reply.text, reply.piece):
        yield chunk({"content": piece})
    for piece in pieces(reply.refusal, reply.piece):
        yield chunk({"refusal": piece})
    for index, call in enumerate(reply.calls):
        first = {"index": index, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield chunk({"tool_calls": [{**first, **({"id": call.id} if call.id else {})}]})
        for piece in pieces(call.arguments, reply.piece):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, _finish(reply))
    yield {**head, "choices": [], "usage": _chat_usage(reply.usage)}


def _responses_items(reply: Reply) -> list[JsonDict]:
    items: list[JsonDict] = []
    if reply.reasoning or reply.signature:
        summary = [{"type": "summary_text", "text": reply.reasoning}] if reply.reasoning else []
        items.append({"type": "reasoning", "id": f"rs_{reply.id}", "summary": summary, "encrypted_content": reply.signature})
    if reply.text or reply.refusal:
        part: JsonDict = {"type": "output_text", "text": reply.text, "annotations": []}
        if reply.refusal:
            part = {"type": "refusal", "refusal": reply.refusal}
        items.append(
            {"type": "message", "id": f"msg_{reply.id}", "role": "assistant", "status": "completed", "content": [part]}
        )
    for index, call in enumerate(reply.calls):
        item = {"type": "function_call", "id": f"fc_{index}_{reply.id}", "name": call.name, "arguments": call.arguments}
        items.append({**item, "status": "completed", **({"call_id": call.id} if call.id else {})})
    return items


def responses_body(reply: Reply) -> JsonDict:
    """Return a whole reply of Responses."""
    usage = reply.usage
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reply.finish or "")
    return {
        "id": reply.id,
        "object": "response",
        "created_at": 1,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "error": None,
        "model": reply.model,
        "output": _responses_items(reply),
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.total_tokens,
        },
    }


_PIECES: dict[str, tuple[str, Callable[[JsonDict], str]]] = {
    "reasoning": ("response.reasoning_summary_text.delta", lambda item: "".join(part["text"] for part in item["summary"])),
    "message": ("response.output_text.delta", lambda item: item["content"][0].get("text", "")),
    "function_call": ("response.function_call_arguments.delta", lambda item: item["arguments"]),
}


def responses_events(reply: Reply) -> Iterator[JsonDict]:
    """Return the events of Responses."""
    body = responses_body(reply)
    yield {"type": "response.created", "response": {**body, "status": "in_progress", "output": [], "usage": None}}
    for index, item in enumerate(body["output"]):
        opened = {**item, "status": "in_progress"}
        if item["type"] == "function_call":
            opened["arguments"] = ""
        place = {"output_index": index, "item_id": item["id"]}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        kind, text_of = _PIECES[item["type"]]
        for piece in pieces(text_of(item), reply.piece):
            yield {"type": kind, **place, "content_index": 0, "delta": piece}
        for piece in pieces(reply.refusal if item["type"] == "message" else "", reply.piece):
            yield {"type": "response.refusal.delta", **place, "content_index": 0, "delta": piece}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    kind = "response.incomplete" if body["status"] == "incomplete" else "response.completed"
    yield {"type": kind, "response": body}
