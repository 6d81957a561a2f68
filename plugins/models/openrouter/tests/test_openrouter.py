"""What is particular to OpenRouter."""

from __future__ import annotations

from decimal import Decimal

from ergaster.contracts.model import ModelRequest, ModelSettings
from ergaster.messages import Message, ToolResult
from ergaster.refs import parse_ref
from ergaster.testing.loopback import LoopbackServer, Reply, raw_body
from ergaster_openrouter import openrouter
from ergaster_support_openai_wire import CompatibleSettings

HELLO = Message("user", "hello")
BLOCKS = [
    {"type": "reasoning.text", "text": "because it is", "signature": "SIG", "format": "x", "index": 0},
    {"type": "reasoning.encrypted", "data": "ENC", "id": "rs_1", "index": 1},
]
CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def make_model(server: LoopbackServer):
    settings = CompatibleSettings(base_url=server.base_url, api_key="sk-or-1", reasoning_effort="low")
    return openrouter(parse_ref("openrouter:openai/gpt-5-mini"), settings)


async def test_reasoning_goes_back_with_its_proof_whole_and_streamed():
    message = {
        "role": "assistant",
        "content": None,
        "reasoning": "because it is",
        "tool_calls": [CALL],
        "reasoning_details": BLOCKS,
    }
    pieces = [
        {"type": "reasoning.text", "text": "because ", "format": "x", "index": 0},
        {"type": "reasoning.text", "text": "it is", "index": 0},
        {"type": "reasoning.text", "signature": "SIG", "index": 0},
        BLOCKS[1],
    ]
    deltas = [{"reasoning": "because "}, {"reasoning": "it is"}, {}, {"tool_calls": [{**CALL, "index": 0}]}]
    events = [
        {"choices": [{"delta": {**delta, "reasoning_details": [piece]}}]} for delta, piece in zip(deltas, pieces, strict=True)
    ]
    events.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    with LoopbackServer(raw_body({"choices": [{"message": message}]}), Reply(events=tuple(events))) as server:
        model = make_model(server)

        whole = (await model.generate(ModelRequest(messages=(HELLO,)))).message
        *_, streamed = [item async for item in model.stream(ModelRequest(messages=(HELLO,)))]
        await model.generate(ModelRequest(messages=(HELLO, whole, Message("tool", (ToolResult("c", "add", content="1"),)))))
        await model.close()

    sent = server.requests[2].body["messages"][1]
    assert whole == streamed.message
    assert sent["reasoning_details"] == BLOCKS
    assert "reasoning" not in sent


async def test_the_effort_is_an_object_and_the_cost_is_theirs():
    body = {"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.00042}}
    with LoopbackServer(raw_body(body)) as server:
        model = make_model(server)

        reply = await model.generate(ModelRequest(messages=(HELLO,), settings=ModelSettings(reasoning_effort="high")))
        await model.close()

    assert server.requests[0].body["reasoning"] == {"effort": "high"}
    assert reply.usage.cost == Decimal("0.00042")
