"""What is answered, whole and as events; no network anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergaster.contracts.model import Delta, ModelResponse
from ergaster.errors import AuthenticationFailed, MalformedReply, ModelError, ProviderUnavailable, RateLimited
from ergaster.messages import Citation, Reasoning, StopReason, Text, ToolCall, Usage
from ergaster_anthropic.reply import decode_messages
from ergaster_anthropic.stream import MessagesDecoder
from ergaster_anthropic.usage import prices_from
from ergaster_support_openai_wire import Origin

ORIGIN = Origin("anthropic", "claude-test")
CITED = {
    "type": "char_location",
    "cited_text": "Grass is green.",
    "document_index": 0,
    "document_title": "Facts",
    "start_char_index": 0,
    "end_char_index": 15,
}
PAGE = {"type": "page_location", "cited_text": "Sky.", "document_index": 1, "document_title": "Book", "start_page_number": 3}
WEB = {"type": "web_search_result_location", "cited_text": "w", "url": "https://e.org", "title": "E", "encrypted_index": "x"}
SEARCH = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "grass"}}
BLOCKS = [
    {"type": "thinking", "thinking": "Hm.", "signature": "s=="},
    {"type": "redacted_thinking", "data": "r=="},
    SEARCH,
    {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"type": "web_search_result", "url": "u"}]},
    {"type": "text", "text": "Grass is green", "citations": [CITED, WEB]},
    {"type": "text", "text": ", sky is not.", "citations": [PAGE]},
    {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1, "b": [2.5, None]}},
]


def body(blocks=(), stop="end_turn", **fields) -> bytes:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test-1", "content": list(blocks)}
    return json.dumps({**head, "stop_reason": stop, "usage": {"input_tokens": 5, "output_tokens": 7}, **fields}).encode()


def events(blocks=(), stop="end_turn", **fields) -> list[dict]:
    message = json.loads(body([], None))
    told = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        opened, pieces = _opened(block)
        told.append({"type": "content_block_start", "index": index, "content_block": opened})
        told += [{"type": "content_block_delta", "index": index, "delta": piece} for piece in pieces]
        told.append({"type": "content_block_stop", "index": index})
    told.append({"type": "message_delta", "delta": {"stop_reason": stop, **fields}, "usage": {"output_tokens": 7}})
    return [*told, {"type": "message_stop"}]


def _opened(block: dict) -> tuple[dict, list[dict]]:
    match block["type"]:
        case "thinking":
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                signed,
            ]
        case "text":
            cited = [{"type": "citations_delta", "citation": citation} for citation in block.get("citations") or ()]
            half = len(block["text"]) // 2
            texts = [{"type": "text_delta", "text": text} for text in (block["text"][:half], block["text"][half:])]
            return {"type": "text", "text": ""}, [*cited, *texts]
        case "tool_use" | "server_tool_use":
            text = json.dumps(block["input"])
            return {**block, "input": {}}, [
                {"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:3], text[3:])
            ]
        case _:
            return block, []


def wire(told: list[dict]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in told)


def streamed(told: list[dict]) -> tuple[list[Delta], ModelResponse]:
    decoder = MessagesDecoder(ORIGIN)
    deltas = decoder.feed(wire(told))
    return deltas, decoder.finish()


def test_every_part_comes_in_its_order():
    reply = decode_messages(body(BLOCKS, "tool_use"), ORIGIN)

    assert reply.message.parts == (
        Reasoning("Hm.", signature="s==", provider="anthropic"),
        Reasoning(signature="r==", id="redacted_thinking", provider="anthropic"),
        Text("Grass is green"),
        Citation("Grass is green.", source="Facts", title="Facts", start=0, end=14),
        Citation("w", source="https://e.org", title="E", start=0, end=14),
        Text(", sky is not."),
        Citation("Sky.", source="Book", title="Book", start=14, end=27, page=3),
        ToolCall("toolu_1", "add", '{"a": 1, "b": [2.5, null]}'),
    )
    assert reply.message.provider_data == {"anthropic": {"blocks": BLOCKS}}
    assert reply.stop_reason is StopReason.TOOL_CALLS


def test_events_make_the_same_reply_as_the_body():
    deltas, reply = streamed(events(BLOCKS, "tool_use"))

    assert reply == decode_messages(body(BLOCKS, "tool_use"), ORIGIN)
    assert [(delta.kind, delta.text) for delta in deltas] == [
        ("reasoning", "Hm."),
        ("text", "Grass is green, sky is not."),
        ("tool_arguments", '{"a": 1, "b": [2.5, null]}'),
    ]


@given(st.lists(st.integers(1, 40), max_size=60))
def test_bytes_may_be_cut_anywhere(sizes):
    data, decoder, deltas = wire(events(BLOCKS, "tool_use")), MessagesDecoder(ORIGIN), []
    for size in sizes:
        deltas += decoder.feed(data[:size])
        data = data[size:]
    deltas += decoder.feed(data)

    assert decoder.finish() == decode_messages(body(BLOCKS, "tool_use"), ORIGIN)
    assert "".join(delta.text for delta in deltas if delta.kind == "text") == "Grass is green, sky is not."


@given(st.integers(0, len(wire(events(BLOCKS)))))
def test_a_stream_cut_before_its_reason_to_stop_is_no_reply(length):
    decoder = MessagesDecoder(ORIGIN)
    decoder.feed(wire(events(BLOCKS))[:length])
    if decoder.is_complete:
        return

    try:
        reply = decoder.finish()
    except MalformedReply:
        return
    assert reply == decode_messages(body(BLOCKS), ORIGIN), "only the last line feed was missing"


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("end_turn", StopReason.STOP),
        ("stop_sequence", StopReason.STOP),
        ("max_tokens", StopReason.LENGTH),
        ("model_context_window_exceeded", StopReason.LENGTH),
        ("refusal", StopReason.REFUSAL),
        ("pause_turn", StopReason.PAUSE),
        ("something_new", StopReason.OTHER),
    ],
)
def test_reasons_to_stop(stop, expected):
    blocks = [{"type": "text", "text": "So far."}]

    assert decode_messages(body(blocks, stop), ORIGIN).stop_reason is expected
    assert streamed(events(blocks, stop))[1].stop_reason is expected


def test_a_refusal_without_a_word_is_explained():
    why = {"type": "refusal", "category": "bio", "explanation": "This could harm people."}

    whole = decode_messages(body([], "refusal", stop_details=why), ORIGIN)
    deltas, reply = streamed(events([], "refusal", stop_details=why))

    assert whole.message.text == reply.message.text == deltas[0].text == "This could harm people."
    assert whole.stop_reason is reply.stop_reason is StopReason.REFUSAL


def test_a_pause_keeps_what_has_to_go_back():
    _, reply = streamed(events([SEARCH], "pause_turn", container={"id": "cont_1", "expires_at": "x"}))

    assert reply.message.provider_data == {"anthropic": {"blocks": [SEARCH], "container": "cont_1"}}
    assert reply.message.tool_calls == ()


def test_usage_counts_all_input_and_the_latest_numbers_stand():
    told = events([{"type": "text", "text": "x"}])
    told[0]["message"]["usage"] = {"input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 1}
    told[-2]["usage"] = {
        "output_tokens": 9,
        "input_tokens": None,
        "cache_creation_input_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    decoder = MessagesDecoder(ORIGIN, prices=prices_from({"input": 3.0, "output": 15.0}, "anthropic"))
    decoder.feed(wire(told))

    usage = decoder.finish().usage

    assert usage == Usage(125, 9, cached_tokens=100, cache_write_tokens=20, reasoning_tokens=4, cost=usage.cost)
    assert str(usage.cost) == "0.000255"  # 5 at 3, 100 at 0.3, 20 at 3.75, 9 at 15


@pytest.mark.parametrize(
    ("kind", "expected", "can_retry"),
    [
        ("overloaded_error", ProviderUnavailable, True),
        ("api_error", ProviderUnavailable, True),
        ("timeout_error", ProviderUnavailable, True),
        ("rate_limit_error", RateLimited, True),
        ("billing_error", RateLimited, False),
        ("permission_error", AuthenticationFailed, False),
    ],
)
def test_an_error_event_has_its_class_and_its_request(kind, expected, can_retry):
    error = {"type": "error", "error": {"type": kind, "message": "no"}, "request_id": "req_7"}
    decoder = MessagesDecoder(ORIGIN)

    with pytest.raises(ModelError) as caught:
        decoder.feed(wire([*events([{"type": "text", "text": "x"}])[:4], error]))

    assert type(caught.value) is expected
    assert (caught.value.can_retry, caught.value.request_id) == (can_retry, "req_7")


def test_citations_are_kept_with_what_only_the_api_can_read():
    blocks = [{"type": "text", "text": "Found.", "citations": [WEB]}]

    reply = decode_messages(body(blocks), ORIGIN)

    assert reply.message.provider_data == {"anthropic": {"blocks": blocks}}
    assert decode_messages(body([{**blocks[0], "citations": []}]), ORIGIN).message.provider_data == {}


def test_blocks_and_events_that_are_newer_than_this_code_are_kept():
    told = events([{"type": "novelty", "note": "a"}])
    told[3:3] = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "note_delta", "note": "b"}},
        {"type": "novel_event", "index": 0},
    ]

    _, reply = streamed(told)

    assert reply.message.provider_data == {"anthropic": {"blocks": [{"type": "novelty", "note": "ab"}]}}


def test_arguments_that_were_cut_stay_as_they_are():
    told = events([{"type": "tool_use", "id": "t", "name": "add", "input": {}}], "max_tokens")
    told[4]["delta"]["partial_json"] = '{"a": 1'
    told[5]["delta"]["partial_json"] = ""

    _, reply = streamed(told)

    assert reply.message.tool_calls == (ToolCall("t", "add", '{"a": 1'),)
    assert reply.stop_reason is StopReason.LENGTH
