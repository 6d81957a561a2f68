"""What the loopback server answers, rendered before the first request."""

from __future__ import annotations

import json

ANSWER = "The weather in Oslo is mild today, with a light wind from the west and little chance of rain before the evening."
STREAM_LENGTHS = (20, 520)


def text_reply() -> bytes:
    return _completion({"role": "assistant", "content": ANSWER, "refusal": None}, "stop")


def tool_reply(turn: int, calls: int = 1) -> bytes:
    asked = [
        {"id": f"call_{turn}_{number}", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
        for number in range(calls)
    ]
    return _completion({"role": "assistant", "content": None, "tool_calls": asked}, "tool_calls")


def stream_reply(tokens: int) -> bytes:
    """Return a streamed text as HTTP chunks, one for each token, as vendors send them."""
    events = [_chunk({"role": "assistant", "content": ""})]
    events += [_chunk({"content": f" word{number % 10}"}) for number in range(tokens)]
    events += [_chunk({}, "stop"), b"data: [DONE]\n\n"]
    body = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + body


def _completion(message: dict[str, object], finish_reason: str) -> bytes:
    usage = {"prompt_tokens": 40, "completion_tokens": 25, "total_tokens": 65, "prompt_tokens_details": {"cached_tokens": 0}}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    value = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _chunk(delta: dict[str, object], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    value = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"
