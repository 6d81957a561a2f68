"""Requests of Responses, and what a provider keeps."""

from __future__ import annotations

import asyncio
import json

import pytest

from ergaster.contracts.model import Capabilities, ModelRequest, ModelSettings, ToolSpec
from ergaster.errors import AuthenticationFailed, ProviderUnavailable, Unsupported
from ergaster.messages import Audio, File, Image, Message, Reasoning, Text, ToolCall, ToolResult
from ergaster.testing.loopback import LoopbackServer, Reply, failing, raw_body
from ergaster_support_http import AiohttpTransport
from ergaster_support_openai_wire import (
    BackgroundModel,
    Endpoint,
    Origin,
    ResponsesCodec,
    ResponsesEncoder,
    WireModel,
    decode_responses,
)

ALL = Capabilities(images=True, audio=True, files=True, reasoning=True)
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
HELLO = Message("user", "hello")


def encode(*messages: Message, settings: ModelSettings | None = None, encoder: dict | None = None, **fields):
    made = ResponsesEncoder("vendor", "model-1", ALL, **(encoder or {}))
    return json.loads(made.encode(ModelRequest(messages=messages or (HELLO,), **fields), settings or ModelSettings()))


def test_the_smallest_request_keeps_nothing_at_the_provider():
    assert encode() == {
        "model": "model-1",
        "input": [{"role": "user", "content": "hello"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_leading_instructions_stand_apart():
    body = encode(Message("system", "one"), Message("system", "two"), HELLO, Message("system", "three"))

    assert body["instructions"] == "one\n\ntwo"
    assert [item["role"] for item in body["input"]] == ["user", "system"]


def test_tools_say_whether_they_are_strict():
    open_schema = {"type": "object", "properties": {"a": {}}}
    tools = (ToolSpec("shut", "d", SCHEMA), ToolSpec("open", "d", open_schema))

    loose = encode(tools=tools, tool_choice="shut")
    strict = encode(tools=tools, encoder={"strict_tools": True, "native_tools": ({"type": "image_generation"},)})

    assert [tool["strict"] for tool in loose["tools"]] == [False, False]
    assert loose["tool_choice"] == {"type": "function", "name": "shut"}
    assert [tool.get("strict") for tool in strict["tools"]] == [True, False, None]
    assert strict["tools"][2] == {"type": "image_generation"}


def test_settings_have_their_names():
    settings = ModelSettings(max_tokens=5, temperature=0.5, reasoning_effort="low", parallel_tool_calls=False)

    body = encode(
        settings=settings,
        encoder={"summary": "auto"},
        output_schema=SCHEMA,
        output_name="nothing",
        tools=(ToolSpec("a", "", SCHEMA),),
    )

    assert (body["max_output_tokens"], body["temperature"], body["parallel_tool_calls"]) == (5, 0.5, False)
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["text"] == {"format": {"type": "json_schema", "name": "nothing", "schema": SCHEMA, "strict": True}}


@pytest.mark.parametrize("settings", [ModelSettings(stop=("x",)), ModelSettings(seed=1)])
def test_what_the_protocol_has_not_is_unsupported(settings):
    with pytest.raises(Unsupported):
        encode(settings=settings)


def test_media_are_content_parts_also_in_results():
    picture = Image(b"\x01", media_type="image/png")
    question = Message("user", (Text("?"), picture, File(b"\x02", media_type="application/pdf", name="a.pdf")))
    result = Message("tool", (ToolResult("c", "draw", content="done", media=(picture,)),))

    items = encode(question, Message("assistant", (ToolCall("c", "draw"),)), result)["input"]

    assert [part["type"] for part in items[0]["content"]] == ["input_text", "input_image", "input_file"]
    assert items[0]["content"][1]["image_url"] == "data:image/png;base64,AQ=="
    assert [part["type"] for part in items[2]["output"]] == ["input_text", "input_image"]
    with pytest.raises(Unsupported):
        encode(Message("user", (Audio(b"x", media_type="audio/wav"),)))


OUTPUT = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
        "encrypted_content": "ENC",
    },
    {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "ENC2"},
    {"type": "message", "content": [{"type": "output_text", "text": "so", "annotations": []}]},
    {"type": "function_call", "id": "fc", "call_id": "c", "name": "add", "arguments": "{}"},
]


def reply_of(*output: dict):
    return decode_responses(json.dumps({"id": "resp_1", "output": output}).encode(), Origin("vendor", "model-1")).message


def test_reasoning_goes_back_verbatim():
    items = encode(HELLO, reply_of(*OUTPUT))["input"]

    assert items[1:3] == OUTPUT[:2]
    assert items[3:] == [
        {"role": "assistant", "content": "so"},
        {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"},
    ]


def test_reasoning_of_another_provider_or_without_proof_stays_here():
    message = Message(
        "assistant", (Reasoning("x", signature="S", provider="another"), Reasoning("y", provider="vendor"), Text("so"))
    )

    assert encode(HELLO, message)["input"][1:] == [{"role": "assistant", "content": "so"}]


def test_items_of_the_providers_own_tools_go_back_as_they_came():
    output = [*OUTPUT, {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "q"}}]

    assert encode(HELLO, reply_of(*output))["input"][1:] == output


def test_a_generated_picture_goes_back_as_the_item_that_it_was():
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AQ=="}

    assert encode(HELLO, reply_of(item))["input"][1:] == [item]


def test_a_provider_that_keeps_the_conversation_gets_only_what_is_new():
    messages = (Message("system", "be kind"), HELLO, reply_of(*OUTPUT), Message("tool", (ToolResult("c", "add", content="1"),)))

    body = encode(*messages, encoder={"stateful": True})

    assert body["previous_response_id"] == "resp_1"
    assert body["instructions"] == "be kind"
    assert body["store"] is True
    assert body["input"] == [{"type": "function_call_output", "call_id": "c", "output": "1"}]


@pytest.fixture
def server():
    with LoopbackServer() as server:
        yield server


@pytest.fixture
async def background(server):
    encoder = ResponsesEncoder("vendor", "model-1", ALL, background=True)
    model = BackgroundModel(
        "vendor",
        "model-1",
        codec=ResponsesCodec(encoder),
        endpoint=Endpoint(base_url=server.base_url, key_required=False),
        transport=AiohttpTransport(),
        capabilities=ALL,
    )
    model.poll_interval = 0.001
    yield model
    await model.close()


async def test_background_work_is_asked_for_until_it_is_done(server, background):
    working = {"id": "resp_1", "status": "queued", "output": []}
    server.say(raw_body(working), raw_body({**working, "status": "in_progress"}), Reply(text="done"))

    reply = await background.generate(ModelRequest(messages=(HELLO,)))

    assert reply.message.text == "done"
    assert [(one.method, one.path) for one in server.requests] == [
        ("POST", "/v1/responses"),
        ("GET", "/v1/responses/resp_1"),
        ("GET", "/v1/responses/resp_1"),
    ]
    assert (server.requests[0].body["background"], server.requests[0].body["store"]) == (True, True)


async def test_cancelling_cancels_the_background_work(server, background):
    server.default = raw_body({"id": "resp_1", "status": "in_progress", "output": []})
    task = asyncio.create_task(background.generate(ModelRequest(messages=(HELLO,))))
    await asyncio.to_thread(server.wait_until, lambda server: len(server.requests) > 2)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert server.requests[-1].path == "/v1/responses/resp_1/cancel"


async def test_background_work_that_failed_is_an_error_by_its_code(server, background):
    server.say(
        raw_body({"id": "resp_1", "status": "queued", "output": []}),
        raw_body({"id": "resp_1", "status": "failed", "error": {"code": "invalid_api_key", "message": "no"}, "output": []}),
    )

    with pytest.raises(AuthenticationFailed):
        await background.generate(ModelRequest(messages=(HELLO,)))


async def test_a_missing_key_names_the_variable_and_the_option(server, monkeypatch):
    monkeypatch.delenv("VENDOR_API_KEY", raising=False)
    model = WireModel(
        "vendor",
        "model-1",
        codec=ResponsesCodec(ResponsesEncoder("vendor", "model-1")),
        endpoint=Endpoint(base_url=server.base_url, env="VENDOR_API_KEY"),
        transport=AiohttpTransport(),
        capabilities=ALL,
    )

    with pytest.raises(AuthenticationFailed, match="VENDOR_API_KEY or the option api_key"):
        await model.generate(ModelRequest(messages=(HELLO,)))
    assert server.requests == []

    monkeypatch.setenv("VENDOR_API_KEY", "sk-from-the-environment")
    await model.generate(ModelRequest(messages=(HELLO,)))
    await model.close()

    assert server.requests[0].headers["authorization"] == "Bearer sk-from-the-environment"


async def test_a_deadline_ends_background_work(server, background):
    server.default = raw_body({"id": "resp_1", "status": "in_progress", "output": []})
    server.say(failing(503))

    with pytest.raises(ProviderUnavailable, match="503"):
        await background.generate(ModelRequest(messages=(HELLO,)))
    with pytest.raises(ProviderUnavailable, match=r"0\.2"):
        await background.generate(ModelRequest(messages=(HELLO,), settings=ModelSettings(timeout=0.2)))
