"""Requests of Chat Completions, byte by byte."""

from __future__ import annotations

import gc
import json

import pytest

from ergaster.contracts.model import Capabilities, ModelRequest, ModelSettings, ToolSpec
from ergaster.errors import BadRequest, Unsupported
from ergaster.messages import Audio, File, Image, Message, Reasoning, Text, ToolCall, ToolResult
from ergaster_support_openai_wire import ChatEncoder, Quirks

ALL = Capabilities(images=True, audio=True, video=True, files=True, reasoning=True)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
HELLO = Message("user", "hello")
PICTURE = Image(b"\x01", media_type="image/png")


def encode(*messages: Message, quirks: Quirks | None = None, settings: ModelSettings | None = None, **fields):
    encoder = ChatEncoder("vendor", "model-1", quirks or Quirks(), ALL)
    stream = fields.pop("stream", False)
    return json.loads(
        encoder.encode(ModelRequest(messages=messages or (HELLO,), **fields), settings or ModelSettings(), stream=stream)
    )


def test_the_smallest_request():
    encoder = ChatEncoder("vendor", "model-1")

    body = encoder.encode(ModelRequest(messages=(HELLO,)), ModelSettings())

    assert b'{"model":"model-1","messages":[{"role":"user","content":"hello"}]}' == body


def test_the_same_request_gives_the_same_bytes_with_and_without_the_cache():
    messages = (Message("system", "é"), HELLO, Message("assistant", (ToolCall("c", "add", "{}"),)))
    request = ModelRequest(messages=messages, tools=(ToolSpec("add", "d", SCHEMA),))
    encoder = ChatEncoder("vendor", "model-1")

    first, again = (encoder.encode(request, ModelSettings()) for _ in range(2))

    assert first == again == ChatEncoder("vendor", "model-1").encode(request, ModelSettings())


def test_a_longer_conversation_begins_with_the_bytes_of_the_shorter_one():
    encoder = ChatEncoder("vendor", "model-1")
    short = encoder.encode(ModelRequest(messages=(HELLO,)), ModelSettings())

    long = encoder.encode(ModelRequest(messages=(HELLO, Message("assistant", "hi"), HELLO)), ModelSettings())

    assert long.startswith(short.removesuffix(b"]}"))


def test_a_message_is_encoded_once_and_forgotten_with_its_last_owner():
    encoder = ChatEncoder("vendor", "model-1")
    messages = [Message("user", f"message {number}") for number in range(100)]

    for length in range(1, 101):
        encoder.encode(ModelRequest(messages=tuple(messages[:length])), ModelSettings())
    kept = len(encoder._messages)
    del messages
    gc.collect()

    assert (100, 0) == (kept, len(encoder._messages))


@pytest.mark.parametrize(
    ("quirks", "settings", "expected"),
    [
        (Quirks(), ModelSettings(max_tokens=5), {"max_tokens": 5}),
        (Quirks(max_tokens_field="max_completion_tokens"), ModelSettings(max_tokens=5), {"max_completion_tokens": 5}),
        (Quirks(), ModelSettings(reasoning_effort="low"), {"reasoning_effort": "low"}),
        (Quirks(reasoning_effort="object"), ModelSettings(reasoning_effort="low"), {"reasoning": {"effort": "low"}}),
        (Quirks(reasoning_effort="object"), ModelSettings(reasoning_effort="none"), {"reasoning": {"enabled": False}}),
        (
            Quirks(reasoning_effort="enable_thinking"),
            ModelSettings(reasoning_effort="none"),
            {"chat_template_kwargs": {"enable_thinking": False}},
        ),
        (Quirks(), ModelSettings(stop=("a", "b"), seed=1, top_p=0.5), {"stop": ["a", "b"], "seed": 1, "top_p": 0.5}),
        (Quirks(), ModelSettings(extra_body={"model": "other", "x": {"y": 1}}), {"model": "other", "x": {"y": 1}}),
    ],
)
def test_settings_are_written_as_the_server_wants_them(quirks, settings, expected):
    body = encode(quirks=quirks, settings=settings)

    assert expected == {name: body[name] for name in expected}
    assert {"model", "messages"} | set(expected) == set(body)


@pytest.mark.parametrize(
    ("quirks", "settings"),
    [
        (Quirks(reasoning_effort="none"), ModelSettings(reasoning_effort="low")),
        (Quirks(seed=False), ModelSettings(seed=1)),
        (Quirks(parallel_tool_calls=False), ModelSettings(parallel_tool_calls=False)),
    ],
)
def test_what_the_server_does_not_know_is_unsupported(quirks, settings):
    with pytest.raises(Unsupported):
        encode(quirks=quirks, settings=settings, tools=(ToolSpec("add", "d", SCHEMA),))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", None),
        ("none", "none"),
        ("required", "required"),
        ("add", {"type": "function", "function": {"name": "add"}}),
    ],
)
def test_the_choice_of_tools(choice, expected):
    body = encode(tools=(ToolSpec("add", "Adds.", SCHEMA),), tool_choice=choice)

    assert [{"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": SCHEMA}}] == body["tools"]
    assert expected == body.get("tool_choice")


def test_a_choice_that_is_no_tool_is_refused():
    with pytest.raises(BadRequest, match="'subtract'"):
        encode(tools=(ToolSpec("add", "Adds.", SCHEMA),), tool_choice="subtract")


def test_a_server_that_cannot_be_made_to_call_says_so():
    with pytest.raises(Unsupported):
        encode(quirks=Quirks(tool_choice_required=False), tools=(ToolSpec("add", "", SCHEMA),), tool_choice="required")


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, True),
        ({**SCHEMA, "additionalProperties": True}, None),
        ({**SCHEMA, "required": []}, None),
        ({**SCHEMA, "properties": {"a": {"oneOf": [{"type": "integer"}]}}}, None),
        ({**SCHEMA, "properties": {"a": {"type": "array", "items": SCHEMA}}}, True),
        ({**SCHEMA, "properties": {"a": {"type": "array", "items": {"type": "object"}}}}, None),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
    ],
)
def test_strict_goes_with_what_fits_its_rules_and_with_nothing_else(schema, strict):
    tool = encode(quirks=Quirks(strict_tools=True), tools=(ToolSpec("add", "", schema),))["tools"][0]["function"]
    output = encode(output_schema=schema)["response_format"]["json_schema"]

    assert strict is tool.get("strict") is output.get("strict")
    assert schema == tool["parameters"] == output["schema"]


def test_without_schemas_the_instructions_carry_the_schema():
    body = encode(Message("system", "stable"), HELLO, quirks=Quirks(schema_output="json_object"), output_schema=SCHEMA)

    assert {"type": "json_object"} == body["response_format"]
    assert ["system", "system", "user"] == [message["role"] for message in body["messages"]]
    assert json.dumps(SCHEMA, separators=(",", ":")) in body["messages"][1]["content"]


def test_a_stream_asks_for_its_usage():
    assert {"include_usage": True} == encode(stream=True)["stream_options"]
    assert "stream_options" not in encode(stream=True, quirks=Quirks(stream_usage=False))


def test_media_are_content_parts():
    message = Message(
        "user",
        (
            Text("Look:"),
            PICTURE,
            Image(url="https://example.org/a.png"),
            Audio(b"\x02", media_type="audio/mpeg"),
            File(b"\x03", media_type="application/pdf", name="a.pdf"),
        ),
    )

    assert [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQ=="}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "Ag==", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,Aw=="}},
    ] == encode(message)["messages"][0]["content"]


@pytest.mark.parametrize(
    "part", [Audio(url="https://example.org/a.mp3"), File(url="https://example.org/a.pdf"), Image(ref="media:1")]
)
def test_media_that_the_protocol_cannot_carry_are_unsupported(part):
    with pytest.raises(Unsupported):
        encode(Message("user", (part,)))


def test_pictures_of_tools_follow_all_results_as_the_users():
    calls = Message("assistant", (ToolCall("c1", "draw"), ToolCall("c2", "draw")))
    results = [Message("tool", (ToolResult(name, "draw", content="done", media=(PICTURE,)),)) for name in ("c1", "c2")]

    messages = encode(HELLO, calls, *results, Message("user", "nice"))["messages"]

    assert ["user", "assistant", "tool", "tool", "user", "user"] == [message["role"] for message in messages]
    assert ["text", "image_url", "text", "image_url"] == [part["type"] for part in messages[4]["content"]]


def test_pictures_of_tools_stay_in_place_where_the_server_takes_them():
    result = Message("tool", (ToolResult("c1", "draw", content="done", media=(PICTURE,)),))

    messages = encode(HELLO, result, quirks=Quirks(tool_media=True))["messages"]

    assert ["text", "image_url"] == [part["type"] for part in messages[1]["content"]]


@pytest.mark.parametrize(
    ("replay", "with_calls", "without_calls"),
    [("never", None, None), ("tool_calls", "because", None), ("always", "because", "because")],
)
def test_reasoning_goes_back_as_the_server_wants_it(replay, with_calls, without_calls):
    thought = Reasoning("because", provider="vendor")
    foreign = Reasoning("not yours", provider="another")
    messages = (
        HELLO,
        Message("assistant", (thought, foreign, ToolCall("c", "add"))),
        Message("tool", (ToolResult("c", "add", content="1"),)),
        Message("assistant", (thought, Text("one"))),
    )

    sent = encode(*messages, quirks=Quirks(replay_reasoning=replay))["messages"]

    assert with_calls == sent[1].get("reasoning_content")
    assert without_calls == sent[3].get("reasoning_content")


def test_a_message_of_calls_alone_has_the_content_that_the_server_wants():
    call = Message("assistant", (ToolCall("c", "add"),))

    assert encode(HELLO, call)["messages"][1]["content"] is None
    assert "" == encode(HELLO, call, quirks=Quirks(empty_content=""))["messages"][1]["content"]


def test_a_tool_message_takes_results_only():
    with pytest.raises(BadRequest, match="Text"):
        encode(Message("tool", "done"))
