"""What is asked, to the byte; no network anywhere."""

from __future__ import annotations

import json

import pytest

from ergaster.contracts.model import Capabilities, ModelRequest, ModelSettings, ToolSpec
from ergaster.errors import BadRequest, Unsupported
from ergaster.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult
from ergaster_anthropic.options import MessagesOptions
from ergaster_anthropic.request import MessagesEncoder
from ergaster_anthropic.schemas import closed, fits_grammar

ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}}, "required": ["a"]})
NOW = ToolSpec("now", "Now.", {"type": "object", "additionalProperties": {"type": "string"}})
HELLO = Message("user", "hello")
MARK = {"type": "ephemeral"}


def encoded(*messages: Message, settings: ModelSettings | None = None, options: dict | None = None, **fields):
    capabilities = Capabilities(images=True, files=True)
    encoder = MessagesEncoder("anthropic", "claude-test", capabilities, MessagesOptions(**(options or {})))
    request = ModelRequest(messages=messages or (HELLO,), **fields)
    return json.loads(encoder.encode(request, settings or ModelSettings()))


def contents(*messages: Message) -> list:
    return [(turn["role"], turn["content"]) for turn in encoded(*messages)["messages"]]


def test_instructions_stand_at_the_top_and_turns_of_one_role_are_one():
    body = encoded(Message("system", "Be brief."), Message("system", "Be kind."), HELLO, Message("user", "there"))

    assert body["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "text", "text": "there"}]}
    ]
    assert body["max_tokens"] == 32_000


def test_results_share_a_turn_with_what_the_user_says_next():
    calls = Message("assistant", (ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "now")))
    results = Message("tool", (ToolResult("c1", "add", content="2"), ToolResult("c2", "now", is_error=True)))

    _, (_, answer), (role, turn) = contents(HELLO, calls, results, Message("user", "and?"))

    assert [(block["id"], block["input"]) for block in answer] == [("c1", {"a": 1}), ("c2", {})]
    assert role == "user"
    assert turn[0] == {"type": "tool_result", "tool_use_id": "c1", "content": "2"}
    assert (turn[1]["tool_use_id"], turn[1]["is_error"], bool(turn[1]["content"])) == ("c2", True, True)
    assert turn[2] == {"type": "text", "text": "and?"}


def test_thinking_is_replayed_as_it_came_and_that_of_others_is_not():
    thoughts = (
        Reasoning("hm", signature="s1", provider="anthropic"),
        Reasoning(signature="s2", id="redacted_thinking", provider="anthropic"),
        Reasoning("foreign", signature="s3", provider="openai"),
        Reasoning("unsigned", provider="anthropic"),
    )

    _, (_, blocks) = contents(HELLO, Message("assistant", (*thoughts, Text("Yes."))))

    assert blocks == [
        {"type": "thinking", "thinking": "hm", "signature": "s1"},
        {"type": "redacted_thinking", "data": "s2"},
        {"type": "text", "text": "Yes."},
    ]


def test_blocks_that_were_kept_go_back_until_the_message_is_edited():
    kept = [
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "text", "text": "Found.", "citations": [{"type": "web_search_result_location", "encrypted_index": "e"}]},
        {"type": "tool_use", "id": "old", "name": "add", "input": {"a": 1}},
    ]
    parts = (Text("Found."), ToolCall("new", "add", '{"a":1}'))

    own = {"anthropic": {"blocks": kept}}
    _, (_, same), _ = contents(HELLO, Message("assistant", parts, provider_data=own), results := _result("new"))
    _, (_, edited), _ = contents(HELLO, Message("assistant", (Text("***"), parts[1]), provider_data=own), results)

    assert same == [*kept[:2], {**kept[2], "id": "new"}]
    assert edited == [{"type": "text", "text": "***"}, {**kept[2], "id": "new"}]


def _result(call_id: str) -> Message:
    return Message("tool", (ToolResult(call_id, "add", content="2"),))


def test_ids_of_other_providers_are_made_legal_alike_in_call_and_result():
    body = encoded(HELLO, Message("assistant", (ToolCall("call|1.a", "add"), ToolCall("call|1,a", "add"))), _result("call|1.a"))

    first, second = (block["id"] for block in body["messages"][1]["content"])
    assert first != second
    assert first == body["messages"][2]["content"][0]["tool_use_id"]
    assert first.replace("_", "").isalnum()


@pytest.mark.parametrize("arguments", ['{"a": 1', "[1]", "", '{"a": NaN}'])
def test_arguments_that_are_no_object_are_sent_as_one(arguments):
    _, (_, [block]) = contents(HELLO, Message("assistant", (ToolCall("c", "add", arguments),)))

    assert block["input"] == {"INVALID_JSON": arguments}


def test_the_stable_prefix_is_marked_where_it_ends():
    messages = (Message("system", "Be brief."), HELLO, Message("assistant", "Hi."), Message("user", "Well?"))

    body = encoded(*messages, tools=(ADD, NOW), options={"cache": True})
    longer = encoded(*messages, options={"cache": "1h"})
    plain = encoded(*messages, tools=(ADD, NOW))

    assert [tool.get("cache_control") for tool in body["tools"]] == [None, MARK]
    assert body["system"][-1]["cache_control"] == body["messages"][-1]["content"][-1]["cache_control"] == MARK
    assert longer["messages"][-1]["content"][-1]["cache_control"] == {**MARK, "ttl": "1h"}
    assert "cache_control" not in json.dumps(plain)
    assert json.dumps(body).count("cache_control") == 3


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        ("auto", None, None),
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", None, {"type": "none"}),
        ("required", True, {"type": "any"}),
        ("add", False, {"type": "tool", "name": "add", "disable_parallel_tool_use": True}),
    ],
)
def test_the_choice_of_tools_is_said_in_the_apis_words(choice, parallel, expected):
    body = encoded(tools=(ADD,), tool_choice=choice, settings=ModelSettings(parallel_tool_calls=parallel))

    assert body.get("tool_choice") == expected


@pytest.mark.parametrize("name", ["temperature", "top_p", "seed"])
def test_what_the_api_no_longer_takes_is_unsupported(name):
    with pytest.raises(Unsupported, match=f"{name}.*extra_body"):
        encoded(settings=ModelSettings(**{name: 1}))


@pytest.mark.parametrize(
    ("effort", "thinking", "expected"),
    [
        (None, None, (None, None)),
        ("low", None, (None, {"effort": "low"})),
        ("minimal", "adaptive", ({"type": "adaptive", "display": "summarized"}, {"effort": "low"})),
        ("none", "adaptive", ({"type": "disabled"}, None)),
        (None, {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}, "as given"),
    ],
)
def test_effort_and_thinking(effort, thinking, expected):
    options = {"thinking": thinking, "thinking_display": "summarized"}

    body = encoded(settings=ModelSettings(reasoning_effort=effort), options=options)

    assert (body.get("thinking"), body.get("output_config")) == ((thinking, None) if expected == "as given" else expected)


def test_pictures_and_documents_are_sent_in_the_apis_kinds():
    parts = (
        Image(url="https://example.org/a.png"),
        File(b"%PDF", media_type="application/pdf", name="a.pdf"),
        File("Grüße".encode(), media_type="text/markdown"),
        File(url="https://example.org/b.pdf"),
    )

    body = encoded(Message("user", parts), options={"citations": True})

    picture, pdf, text, far = body["messages"][0]["content"]
    assert picture == {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    assert (pdf["source"]["media_type"], pdf["title"], pdf["citations"]) == ("application/pdf", "a.pdf", {"enabled": True})
    assert text["source"] == {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    assert far["source"] == {"type": "url", "url": "https://example.org/b.pdf"}


@pytest.mark.parametrize("part", [Image(b"x", media_type="image/tiff"), File(b"x", media_type="application/zip")])
def test_a_kind_of_media_that_the_api_does_not_read_is_unsupported(part):
    with pytest.raises(Unsupported, match=part.media_type):
        encoded(Message("user", (part,)))


def test_a_tool_may_return_a_picture_and_an_answer_may_have_held_one():
    picture = Image(b"x", media_type="image/png")
    call = Message("assistant", (ToolCall("c", "add"), picture))

    _, _, (_, turn) = contents(HELLO, call, Message("tool", (ToolResult("c", "add", content="see", media=(picture,)),)))

    assert [block["type"] for block in turn] == ["tool_result", "text", "image"]
    assert [block["type"] for block in turn[0]["content"]] == ["text", "image"]


def test_tools_of_the_servers_and_their_container_come_along():
    search = {"type": "web_search_20260209", "name": "web_search"}
    before = Message("assistant", "Done.", provider_data={"anthropic": {"container": "cont_1"}})

    body = encoded(HELLO, before, HELLO, tools=(ADD,), options={"native_tools": (search,)})

    assert [tool["name"] for tool in body["tools"]] == ["add", "web_search"]
    assert body["container"] == "cont_1"


def test_strict_tools_are_strict_where_a_grammar_can_hold_them():
    strict, loose = encoded(tools=(ADD, NOW), options={"strict_tools": True})["tools"]

    assert (strict["strict"], strict["input_schema"]["additionalProperties"]) == (True, False)
    assert strict["input_schema"]["properties"]["a"] == {"type": "integer", "description": "(minimum: 0)"}
    assert loose["input_schema"] == NOW.parameters
    assert "strict" not in loose


def test_a_schema_that_no_grammar_holds_is_asked_for_in_words():
    held = encoded(output_schema=ADD.parameters)
    asked = encoded(output_schema=NOW.parameters)

    assert held["output_config"]["format"]["type"] == "json_schema"
    assert "output_config" not in asked
    assert json.dumps(NOW.parameters, separators=(",", ":")) in asked["system"][-1]["text"]


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}, True),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}}}, False),
        ({"$ref": "#/$defs/nowhere"}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"anyOf": [{"type": "object", "additionalProperties": True}, {"type": "null"}]}, False),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
    ],
)
def test_what_a_grammar_can_hold(schema, fits):
    assert fits_grammar(schema) is fits


def test_a_closed_schema_keeps_what_it_says():
    schema = {
        "$schema": "x",
        "type": "object",
        "description": "A thing.",
        "properties": {"minimum": {"oneOf": [{"type": "string", "maxLength": 3, "format": "uuid"}, {"const": 1}]}},
        "minProperties": 1,
    }

    assert closed(schema) == {
        "type": "object",
        "description": "A thing. (minProperties: 1)",
        "properties": {
            "minimum": {"anyOf": [{"type": "string", "format": "uuid", "description": "(maxLength: 3)"}, {"const": 1}]}
        },
        "additionalProperties": False,
    }


def test_a_conversation_of_nothing_is_refused():
    with pytest.raises(BadRequest, match="something in it"):
        encoded(Message("user", "  "))


def test_the_question_for_tokens_has_the_prompt_and_nothing_else():
    encoder = MessagesEncoder("anthropic", "claude-test", Capabilities())

    body = json.loads(encoder.encode_count(ModelRequest(messages=(HELLO,), tools=(ADD,)), ModelSettings(stop=("x",))))

    assert set(body) == {"model", "messages", "tools"}
