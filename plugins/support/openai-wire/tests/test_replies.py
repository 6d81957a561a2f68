"""Replies of both protocols: what servers send beyond the plain case."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergaster.contracts.model import ModelResponse
from ergaster.errors import MalformedReply, ModelError
from ergaster.messages import Audio, Citation, Image, Reasoning, StopReason, Text, ToolCall, Usage
from ergaster_support_openai_wire import (
    ChatDecoder,
    Origin,
    Price,
    Quirks,
    ResponsesDecoder,
    decode_chat,
    decode_responses,
    usage_from,
)

ORIGIN = Origin("vendor", "model-1")


def chat(message: dict, **fields) -> ModelResponse:
    body = {"id": "r", "choices": [{"message": message, "finish_reason": "stop"}], **fields}
    return decode_chat(json.dumps(body).encode(), ORIGIN, seed=b"request")


def stream(*deltas: dict, finish: str | None = "stop", **fields) -> ModelResponse:
    decoder = ChatDecoder(ORIGIN, seed=b"request", audio_format="wav")
    for delta in deltas:
        decoder.feed(b"data: " + json.dumps({"id": "r", "choices": [{"delta": delta}]}).encode() + b"\n\n")
    last = {"id": "r", "choices": [{"delta": {}, "finish_reason": finish}], **fields}
    decoder.feed(b"data: " + json.dumps(last).encode() + b"\n\n")
    return decoder.finish()


def responses(*output: dict, **fields) -> ModelResponse:
    return decode_responses(json.dumps({"id": "r", "status": "completed", "output": output, **fields}).encode(), ORIGIN)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_comes_from_either_field(field):
    expected = (Reasoning("because", provider="vendor"), Text("so"))

    assert expected == chat({"content": "so", field: "because"}).message.parts
    assert expected == stream({field: "bec"}, {field: "ause"}, {"content": "so"}).message.parts


def test_content_may_be_a_list_of_parts():
    assert "ab" == chat({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}).message.text


def test_sound_comes_back_with_its_words_and_a_name_for_the_next_turn():
    sound = base64.b64encode(b"RIFF").decode()
    message = {"content": None, "audio": {"id": "audio_1", "data": sound, "transcript": "Hello"}}

    whole = chat(message)
    streamed = stream(
        {"audio": {"id": "audio_1"}}, {"audio": {"transcript": "Hel"}}, {"audio": {"data": sound, "transcript": "lo"}}
    )

    assert (Text("Hello"), Audio(b"RIFF", media_type="audio/wav")) == whole.message.parts
    assert {"vendor": {"audio_id": "audio_1"}} == whole.message.provider_data
    assert whole == streamed


def test_pictures_come_back_as_parts():
    picture = {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AQ=="}}

    assert (Image(b"\x01", media_type="image/webp"),) == chat({"content": "", "images": [picture]}).message.parts
    assert (Image(b"\x01", media_type="image/webp"),) == stream({"images": [picture]}).message.parts


def test_citations_come_back_as_parts():
    note = {"url": "https://example.org", "title": "Example", "start_index": 0, "end_index": 2}
    expected = Citation(source="https://example.org", title="Example", start=0, end=2)

    assert expected == chat({"content": "so", "annotations": [{"type": "url_citation", "url_citation": note}]}).message.parts[1]
    item = {
        "type": "message",
        "content": [{"type": "output_text", "text": "so", "annotations": [{"type": "url_citation", **note}]}],
    }
    assert expected == responses(item).message.parts[1]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, Usage()),
        ({"prompt_tokens": 3.0, "completion_tokens": "4", "total_tokens": 7}, Usage(3, 4)),
        ({"prompt_tokens": None, "completion_tokens": -1, "prompt_tokens_details": None}, Usage()),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, Usage(9, 0, cached_tokens=4)),
        (
            {"input_tokens": 9, "output_tokens": 8, "output_tokens_details": {"reasoning_tokens": 7}},
            Usage(9, 8, reasoning_tokens=7),
        ),
        ({"prompt_tokens": 1, "cost": 0.00014}, Usage(1, cost=Decimal("0.00014"))),
        ({"prompt_tokens": 1, "cost": "much"}, Usage(1)),
        ("none", Usage()),
        (
            {
                "prompt_tokens": 5,
                "prompt_tokens_details": {"audio_tokens": 2},
                "completion_tokens_details": {"audio_tokens": 3},
            },
            Usage(5, input_audio_tokens=2, output_audio_tokens=3),
        ),
    ],
)
def test_usage_is_read_in_every_shape(usage, expected):
    assert expected == usage_from(usage)


def test_prices_give_the_cost():
    price = Price(input=Decimal(2), output=Decimal(10), cached=Decimal("0.5"))
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "prompt_tokens_details": {"cached_tokens": 400_000}}

    assert Decimal("2.4") == usage_from(usage, price).cost


@pytest.mark.parametrize(
    "pieces",
    [
        [
            {"index": 0, "id": "a", "function": {"name": "x", "arguments": '{"n":'}},
            {"index": 0, "function": {"arguments": "1}"}},
        ],
        [
            {"index": 0, "id": "a", "function": {"name": "x", "arguments": '{"n":'}},
            {"index": 0, "id": "a", "function": {"name": "x", "arguments": "1}"}},
        ],
        [{"id": "a", "function": {"name": "x", "arguments": '{"n":'}}, {"function": {"arguments": "1}"}}],
        [{"index": 0, "id": "a", "function": {"name": "x", "arguments": {"n": 1}}}],
    ],
)
def test_a_call_is_put_together_from_every_shape(pieces):
    call = stream(*({"tool_calls": [piece]} for piece in pieces), finish="tool_calls").message.tool_calls

    assert [("a", "x", {"n": 1})] == [(one.id, one.name, json.loads(one.arguments)) for one in call]


def test_two_calls_with_one_index_stay_two():
    first = {"index": 0, "id": "a", "function": {"name": "x", "arguments": "{}"}}
    second = {"index": 0, "id": "b", "function": {"name": "y", "arguments": "{}"}}

    reply = stream({"tool_calls": [first]}, {"tool_calls": [second]})

    assert (ToolCall("a", "x", "{}"), ToolCall("b", "y", "{}")) == reply.message.tool_calls
    assert StopReason.TOOL_CALLS is reply.stop_reason


def test_missing_ids_are_the_same_for_one_reply_and_differ_between_replies():
    message = {"content": None, "tool_calls": [{"function": {"name": "x", "arguments": "{}"}}] * 2}
    body = json.dumps({"choices": [{"message": message}]}).encode()

    first, again, other = (decode_chat(body, ORIGIN, seed=seed).message.tool_calls for seed in (b"1", b"1", b"2"))

    assert first == again
    assert 4 == len({call.id for call in (*first, *other)})


def test_ids_that_a_server_gave_twice_are_told_apart():
    call = {"id": "call", "function": {"name": "x", "arguments": "{}"}}

    assert 2 == len({call.id for call in chat({"tool_calls": [call, call]}).message.tool_calls})


def test_a_cut_behind_the_last_word_loses_nothing():
    decoder = ChatDecoder(ORIGIN)
    decoder.feed(b'data: {"choices":[{"delta":{"content":"all"},"finish_reason":"stop"}]}\n\ndata: {"usa')

    assert decoder.is_complete
    assert "all" == decoder.finish().message.text


def test_summaries_and_what_is_encrypted_are_kept_apart_from_the_text():
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "second"}],
        "encrypted_content": "ENC",
    }

    assert (
        Reasoning("first", signature="ENC", id="rs_1", provider="vendor"),
        Reasoning("second", id="rs_1", provider="vendor"),
    ) == responses(item).message.parts


def test_a_generated_picture_is_a_part():
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AQ==", "output_format": "webp"}

    assert (Image(b"\x01", media_type="image/webp", name="ig_1"),) == responses(item).message.parts


def test_a_failed_response_is_an_error_by_its_code():
    with pytest.raises(ModelError) as caught:
        responses(status="failed", error={"code": "rate_limit_exceeded", "message": "slow down"})

    assert "RateLimited" == type(caught.value).__name__


def test_a_final_event_without_output_is_filled_from_the_items():
    decoder = ResponsesDecoder(ORIGIN)
    item = {"type": "message", "content": [{"type": "output_text", "text": "so"}]}
    events = [
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "r", "output": []}},
    ]
    decoder.feed(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events))

    assert "so" == decoder.finish().message.text


WORDS = [
    "choices",
    "message",
    "delta",
    "content",
    "tool_calls",
    "function",
    "arguments",
    "usage",
    "finish_reason",
    "index",
    "type",
    "output",
    "response",
    "item",
    "summary",
    "annotations",
    "audio",
    "images",
    "error",
    "id",
    "name",
    "status",
    "data",
    "refusal",
    "reasoning",
    "image_url",
    "url",
    "encrypted_content",
    "call_id",
    "code",
]
KINDS = ("message", "reasoning", "function_call", "image_generation_call", "output_text", "refusal", "url_citation")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=400)
@given(JSON)
def test_whatever_the_server_sends_is_a_reply_or_an_error_of_ours(value):
    body = json.dumps(value).encode()

    for decode in (decode_chat, decode_responses):
        try:
            assert isinstance(decode(body, ORIGIN), ModelResponse)
        except ModelError:
            pass


@settings(max_examples=400)
@given(st.lists(JSON, max_size=4), st.sampled_from(["chat", "responses"]))
def test_whatever_the_server_streams_is_a_reply_or_an_error_of_ours(values, protocol):
    decoder = ChatDecoder(ORIGIN, Quirks()) if protocol == "chat" else ResponsesDecoder(ORIGIN)
    try:
        for value in values:
            event = (
                {"type": "response.completed", "response": value}
                if protocol == "responses"
                else {"choices": [{"delta": value}]}
            )
            decoder.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
            decoder.feed(b"data: " + json.dumps(value).encode() + b"\n\n")
        assert isinstance(decoder.finish(), ModelResponse)
    except ModelError:
        pass


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=8), st.data())
def test_pieces_are_joined_and_complete_however_the_bytes_are_cut(texts, data):
    sent = b"".join(
        b"data: "
        + json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False).encode("utf-8", "replace")
        + b"\n\n"
        for text in texts
    )
    sent += b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=10)))
    decoder, deltas = ChatDecoder(ORIGIN), []

    for start, stop in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        pieces = decoder.feed(sent[start:stop])
        assert len(pieces) <= 1, "text that arrives together is one piece"
        deltas += pieces

    assert (
        "".join(delta.text for delta in deltas)
        == decoder.finish().message.text
        == "".join(texts).encode("utf-8", "replace").decode()
    )


def test_nothing_at_all_is_malformed():
    for decoder in (ChatDecoder(ORIGIN), ResponsesDecoder(ORIGIN)):
        with pytest.raises(MalformedReply):
            decoder.finish()
