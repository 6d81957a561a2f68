"""Chat Completions against a mock server that others wrote."""

from __future__ import annotations

import json

import pytest

from ergaster.contracts.model import ModelRequest, ModelResponse, ToolSpec
from ergaster.errors import BadRequest, RateLimited
from ergaster.messages import Message, StopReason, ToolResult
from ergaster.refs import parse_ref
from ergaster.testing.aimock import aimock_server
from ergaster_openai_compatible import openai_compatible
from ergaster_support_openai_wire import CompatibleSettings

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
FIXTURES = [
    {
        "match": {"userMessage": "slow down"},
        "response": {"error": {"message": "too quick", "type": "rate_limit_error"}, "status": 429, "retryAfter": 7},
    },
    {"match": {"toolCallId": "call_add"}, "response": {"content": "The sum is 42."}},
    {
        "match": {"userMessage": "17 + 25"},
        "response": {"toolCalls": [{"id": "call_add", "name": "add", "arguments": {"a": 17, "b": 25}}]},
    },
    {"match": {"userMessage": "think"}, "response": {"content": "Done.", "reasoning": "Let me think."}},
    {"match": {"userMessage": "hello"}, "response": {"content": "Grüße aus dem Rechner 🦜"}},
]


@pytest.fixture(scope="module")
def address():
    with aimock_server(FIXTURES) as address:
        yield f"{address}/v1"


@pytest.fixture
async def model(address):
    settings = CompatibleSettings(base_url=address, api_key="sk-mock-0123456789")
    model = openai_compatible(parse_ref("openai_compatible:some-model"), settings)
    yield model
    await model.close()


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
    result = Message("tool", (ToolResult("call_add", "add", content="42"),))
    answer = await model.generate(ask(question, call.message, result, tools=(ADD,)))

    for reply in (call, streamed):
        assert [(one.id, one.name, json.loads(one.arguments)) for one in reply.message.tool_calls] == [
            ("call_add", "add", {"a": 17, "b": 25})
        ]
        assert reply.stop_reason is StopReason.TOOL_CALLS
    assert answer.message.text == "The sum is 42."


async def test_reasoning_whole_and_streamed(model):
    request = ask(Message("user", "think"))

    reply = await model.generate(request)
    streamed = await last_of(model.stream(request))

    assert reply.message.text == streamed.message.text == "Done."
    assert reply.message.reasoning == streamed.message.reasoning == "Let me think."


async def test_errors_keep_what_the_server_says(model):
    with pytest.raises(RateLimited, match="too quick") as caught:
        await model.generate(ask(Message("user", "slow down")))
    with pytest.raises(BadRequest):
        await model.generate(ask(Message("user", "something that nobody wrote down")))

    assert caught.value.retry_after == 7.0
