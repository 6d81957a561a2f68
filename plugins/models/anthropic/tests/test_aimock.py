"""Messages against a mock server that others wrote."""

from __future__ import annotations

import json

import pytest

from ergaster.contracts.model import ModelRequest, ModelResponse, ToolSpec
from ergaster.errors import BadRequest, ProviderUnavailable, RateLimited
from ergaster.messages import Message, Reasoning, StopReason, ToolResult
from ergaster.testing.aimock import aimock_server
from ergaster_anthropic import AnthropicModel

ADD = ToolSpec(
    "add",
    "Add two numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
CALL = {"id": "toolu_add", "name": "add", "arguments": {"a": 17, "b": 25}}
FIXTURES = [
    {
        "match": {"userMessage": "slow down"},
        "response": {"error": {"message": "too quick", "type": "rate_limit_error"}, "status": 429, "retryAfter": 7},
    },
    {
        "match": {"userMessage": "fall over"},
        "response": {"error": {"message": "it broke", "type": "api_error"}, "status": 500},
    },
    {
        "match": {"userMessage": "too many"},
        "response": {"error": {"message": "Overloaded", "type": "overloaded_error"}, "status": 529},
    },
    {"match": {"toolCallId": "toolu_add"}, "response": {"content": "The sum is 42."}},
    {
        "match": {"userMessage": "think, then 17 + 25"},
        "response": {"toolCalls": [CALL], "reasoning": "I need a tool.", "reasoningSignature": "sig=="},
    },
    {"match": {"userMessage": "17 + 25"}, "response": {"toolCalls": [CALL]}},
    {
        "match": {"userMessage": "think in secret"},
        "response": {"content": "Done.", "reasoning": "Let me think.", "redactedThinking": ["c2VjcmV0"]},
    },
    {"match": {"userMessage": "hello"}, "response": {"content": "Grüße aus dem Rechner 🦜"}},
]


@pytest.fixture(scope="module")
def address():
    with aimock_server(FIXTURES) as address:
        yield address


@pytest.fixture
async def model(address):
    model = make_model(address)
    yield model
    await model.close()


def make_model(address: str, **options) -> AnthropicModel:
    return AnthropicModel("claude-sonnet-5-5", base_url=address, api_key="sk-mock-0123456789", **options)


def ask(*messages: Message, **fields) -> ModelRequest:
    return ModelRequest(messages=messages, **fields)


async def last_of(stream) -> ModelResponse:
    items = [item async for item in stream]
    text = "".join(item.text for item in items[:-1] if item.kind == "text")
    assert text == items[-1].message.text
    return items[-1]


async def test_text_whole_and_streamed(model):
    request = ask(Message("system", "Be kind."), Message("user", "hello"))

    reply = await model.generate(request)
    streamed = await last_of(model.stream(request))

    assert reply.message.text == streamed.message.text == "Grüße aus dem Rechner 🦜"
    assert reply.stop_reason is streamed.stop_reason is StopReason.STOP


async def test_a_tool_loop_whole_and_streamed(model):
    question = Message("user", "17 + 25")

    call = await model.generate(ask(question, tools=(ADD,)))
    streamed = await last_of(model.stream(ask(question, tools=(ADD,))))
    result = Message("tool", (ToolResult("toolu_add", "add", content="42"),))
    answer = await model.generate(ask(question, call.message, result, tools=(ADD,)))

    for reply in (call, streamed):
        assert [(one.id, one.name, json.loads(one.arguments)) for one in reply.message.tool_calls] == [
            ("toolu_add", "add", {"a": 17, "b": 25})
        ]
        assert reply.stop_reason is StopReason.TOOL_CALLS
    assert answer.message.text == "The sum is 42."


async def test_a_tool_loop_replays_the_thinking_that_the_server_insists_on(address):
    model = make_model(address, thinking={"type": "enabled", "budget_tokens": 2048}, headers={"x-aimock-strict": "true"})
    question = Message("user", "think, then 17 + 25")
    result = Message("tool", (ToolResult("toolu_add", "add", content="42"),))

    call = await last_of(model.stream(ask(question, tools=(ADD,))))
    answer = await model.generate(ask(question, call.message, result, tools=(ADD,)))
    forgetful = Message("assistant", call.message.tool_calls)
    with pytest.raises(BadRequest, match="thinking"):
        await model.generate(ask(question, forgetful, result, tools=(ADD,)))
    await model.close()

    assert call.message.parts[0] == Reasoning("I need a tool.", signature="sig==", provider="anthropic")
    assert answer.message.text == "The sum is 42."


async def test_thinking_whole_and_streamed_shown_and_encrypted(model):
    request = ask(Message("user", "think in secret"))

    reply = await model.generate(request)
    streamed = await last_of(model.stream(request))

    for message in (reply.message, streamed.message):
        secret, shown = message.parts[:2]
        assert (secret.id, secret.signature, secret.text) == ("redacted_thinking", "c2VjcmV0", "")
        assert (shown.text, bool(shown.signature)) == ("Let me think.", True)
        assert message.text == "Done."


async def test_errors_keep_what_the_server_says(model):
    with pytest.raises(RateLimited, match="too quick") as limited:
        await model.generate(ask(Message("user", "slow down")))
    with pytest.raises(ProviderUnavailable, match="it broke") as broken:
        await model.generate(ask(Message("user", "fall over")))
    with pytest.raises(ProviderUnavailable, match="Overloaded") as overloaded:
        await last_of(model.stream(ask(Message("user", "too many"))))

    assert limited.value.retry_after == 7.0
    assert [error.value.status for error in (limited, broken, overloaded)] == [429, 500, 529]
