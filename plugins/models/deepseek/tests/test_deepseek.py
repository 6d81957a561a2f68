"""What is particular to DeepSeek."""

from __future__ import annotations

from ergaster.contracts.model import ModelRequest
from ergaster.messages import Message, Reasoning, Text, ToolCall, ToolResult
from ergaster.refs import parse_ref
from ergaster.testing.loopback import LoopbackServer, Reply
from ergaster_deepseek import deepseek
from ergaster_support_openai_wire import CompatibleSettings


async def test_thinking_goes_back_behind_tool_calls_and_only_there():
    with LoopbackServer(Reply(reasoning="because", calls=(ToolCall("c", "add"),)), Reply(text="so")) as server:
        model = deepseek(parse_ref("deepseek:deepseek-chat"), CompatibleSettings(base_url=server.base_url, api_key="sk-1"))
        hello = Message("user", "hello")

        called = (await model.generate(ModelRequest(messages=(hello,)))).message
        plain = Message("assistant", (Reasoning("idle", provider="deepseek"), Text("hi")))
        result = Message("tool", (ToolResult("c", "add", content="1"),))
        await model.generate(ModelRequest(messages=(hello, plain, hello, called, result)))
        await model.close()

    sent = server.requests[1].body["messages"]
    assert [message.get("reasoning_content") for message in sent] == [None, None, None, "because", None]


async def test_a_schema_becomes_the_json_mode():
    with LoopbackServer(Reply(text="{}")) as server:
        model = deepseek(parse_ref("deepseek:deepseek-chat"), CompatibleSettings(base_url=server.base_url, api_key="sk-1"))

        await model.generate(ModelRequest(messages=(Message("user", "hello"),), output_schema={"type": "object"}))
        await model.close()

    assert server.requests[0].body["response_format"] == {"type": "json_object"}
    assert '{"type":"object"}' in server.requests[0].body["messages"][0]["content"]
