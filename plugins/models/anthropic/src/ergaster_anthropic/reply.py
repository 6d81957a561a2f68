"""Messages: replies from bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from ergaster.contracts.model import ModelResponse
from ergaster.errors import ModelError
from ergaster.messages import Citation, Json, Message, Part, Reasoning, StopReason, Text, ToolCall
from ergaster_anthropic.blocks import REDACTED
from ergaster_anthropic.usage import Prices, usage_from
from ergaster_support_openai_wire import (
    WRONG_SHAPE,
    JsonDecodeError,
    Origin,
    dump,
    error_from_response,
    load,
    malformed,
    mint_call_id,
)

__all__ = ["JsonDict", "decode_count", "decode_messages", "error_from_event", "explained", "reply_from", "write_arguments"]

JsonDict: TypeAlias = dict[str, Any]
"""A parsed object of the wire; its values are whatever the server sent."""

_STOP = {
    "end_turn": StopReason.STOP,
    "stop_sequence": StopReason.STOP,
    "tool_use": StopReason.TOOL_CALLS,
    "max_tokens": StopReason.LENGTH,
    # What was said until the window was full is said; a prompt that does not fit at all is an error of the API.
    "model_context_window_exceeded": StopReason.LENGTH,
    "refusal": StopReason.REFUSAL,
    # A tool of the server takes long; the same conversation, sent with this answer, goes on.
    "pause_turn": StopReason.PAUSE,
}
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_OURS = {"text", "thinking", "redacted_thinking", "tool_use"}


def decode_messages(body: bytes, origin: Origin, *, seed: bytes = b"", prices: Prices | None = None) -> ModelResponse:
    """Return the reply in the body of a response.

    Raises:
        ModelError: If it is an error.
        MalformedReply: If it is no reply of the protocol.
    """
    try:
        value = load(body)
    except JsonDecodeError:
        raise malformed("a body that is no JSON", body, origin) from None
    try:
        if value.get("error"):
            raise error_from_event(value, origin)
        return reply_from(value, {}, origin, seed=seed, prices=prices)
    except WRONG_SHAPE:
        raise malformed("a reply of another shape than the protocol's", body, origin) from None


def decode_count(body: bytes, origin: Origin) -> int:
    """Return the number in the answer to a question for tokens.

    Raises:
        MalformedReply: If there is none.
    """
    try:
        return int(load(body)["input_tokens"])
    except (JsonDecodeError, *WRONG_SHAPE):
        raise malformed("no count of tokens", body, origin) from None


def error_from_event(value: JsonDict, origin: Origin) -> ModelError:
    """Return the error that an error object in a reply or an event of the status 200 stands for."""
    error = value.get("error")
    kind = error.get("type") if isinstance(error, Mapping) else None
    found = error_from_response(_STATUS.get(str(kind), 500), {}, dump(value).encode("utf-8", "replace"), origin)
    found.request_id = value.get("request_id") or None
    return found


def reply_from(
    message: JsonDict, arguments: Mapping[int, str], origin: Origin, *, seed: bytes = b"", prices: Prices | None = None
) -> ModelResponse:
    """Return the reply in a message of the API.

    Args:
        message: The message.
        arguments: The text of a call's arguments, by the place of its block, where it is known as the model wrote it.
        origin: Who answered.
        seed: The request's body, from which missing call ids are minted.
        prices: The model's prices, if known.
    """
    blocks: list[JsonDict] = message["content"]
    parts: list[Part] = []
    length = 0
    calls = 0
    for place, block in enumerate(blocks):
        match block["type"]:
            case "text":
                parts += _text(block, length)
                length += len(block["text"])
            case "thinking":
                parts.append(Reasoning(block["thinking"], signature=block.get("signature") or None, provider=origin.provider))
            case "redacted_thinking":
                parts.append(Reasoning(signature=block["data"], id=REDACTED, provider=origin.provider))
            case "tool_use":
                call_id = block.get("id") or mint_call_id(seed, calls, block["name"])
                parts.append(ToolCall(call_id, block["name"], arguments.get(place) or write_arguments(block["input"])))
                calls += 1
    reason = _STOP.get(message.get("stop_reason") or "end_turn", StopReason.OTHER)
    if reason is StopReason.REFUSAL and not length and (explanation := explained(message.get("stop_details"))):
        parts.append(Text(explanation))
    own = _own_data(message, blocks)
    return ModelResponse(
        message=Message("assistant", tuple(parts), provider_data={origin.provider: own} if own else {}),
        stop_reason=StopReason.TOOL_CALLS if calls and reason is StopReason.STOP else reason,
        usage=usage_from(message.get("usage"), prices),
        model=message.get("model") or origin.model,
        response_id=message.get("id"),
    )


def write_arguments(value: Json) -> str:
    """Return the input of a call as text, spaced as the model spaces it."""
    return json.dumps(value, ensure_ascii=False) if value else "{}"


def explained(details: Json) -> str:
    """Return why the model refused, where the API says so."""
    return str(details.get("explanation") or "") if isinstance(details, Mapping) else ""


def _own_data(message: JsonDict, blocks: list[JsonDict]) -> JsonDict:
    """Return what the API wants back verbatim: blocks that have no part of ours, and the place where code ran."""
    own: JsonDict = {}
    if any(block["type"] not in _OURS or block.get("citations") for block in blocks):
        own["blocks"] = blocks
    container = message.get("container")
    if isinstance(container, Mapping) and container.get("id"):
        own["container"] = container["id"]
    return own


def _text(block: JsonDict, start: int) -> list[Part]:
    text = block["text"]
    parts: list[Part] = [Text(text)] if text else []
    parts += [_citation(citation, start, start + len(text)) for citation in block.get("citations") or ()]
    return parts


def _citation(citation: JsonDict, start: int, end: int) -> Citation:
    title = citation.get("document_title") or citation.get("title")
    source = citation.get("url") or citation.get("source") or citation.get("file_id") or title
    return Citation(
        citation.get("cited_text") or "",
        source=source,
        title=title,
        start=start,
        end=end,
        page=citation.get("start_page_number"),
    )
