"""Properties of the data floor: the codec, the transcript's repair, the fold, references and filters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from operator import is_
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from ergaster import Message, Secret, Usage
from ergaster.codec import decode, dump_json, encode, load_json, read_event, write_event
from ergaster.errors import InvalidInput, InvalidRef, StorageCorrupt
from ergaster.events import (
    EVENT_TYPES,
    ErrorInfo,
    Event,
    ModelCompleted,
    Pending,
    RunFailed,
    RunPaused,
    RunStarted,
    StateChanged,
    StepCompleted,
    ToolCompleted,
)
from ergaster.filters import And, Eq, Filter, In, Range, matches
from ergaster.messages import (
    Audio,
    Citation,
    File,
    Image,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from ergaster.refs import parse_ref
from ergaster.transcript import MISSING, repair, unique_call_ids

texts = st.text(max_size=20)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
reserved = st.sampled_from(
    [{"type": "text", "text": "x"}, {"kind": "run_failed"}, {"$ref": "#"}, {"__class__": "os.system"}, {"py/object": "x"}]
)
data = jsons | reserved
objects = st.dictionaries(st.sampled_from(["type", "kind", "$x", "py/object", "a"]), data, max_size=3)
media = st.one_of(*(st.builds(kind, st.binary(max_size=8), media_type=texts) for kind in (Image, Audio, Video, File)))
calls = st.builds(ToolCall, st.sampled_from(["a", "b", "c", ""]), texts, texts, signature=st.none() | texts)
results = st.builds(
    ToolResult,
    st.sampled_from(["a", "b", "c", "d"]),
    texts,
    content=texts,
    media=st.lists(media, max_size=1).map(tuple),
    is_error=st.booleans(),
)
parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, texts),
    st.builds(Reasoning, texts, signature=st.none() | texts, id=st.none() | texts),
    st.builds(Citation, texts, source=st.none() | texts, start=st.none() | st.integers(0, 9)),
    media,
    calls,
    results,
)
messages = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.lists(parts, max_size=4).map(tuple),
    provider_data=objects,
)
usages = st.builds(Usage, st.integers(0, 9), st.integers(0, 9), cost=st.none() | st.decimals(0, 9, places=3))
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(RunStarted, runnable=texts, input=st.lists(messages, max_size=2).map(tuple), metadata=objects),
    st.builds(ModelCompleted, message=messages, usage=usages),
    st.builds(ToolCompleted, result=results),
    st.builds(StateChanged, changed=objects, removed=st.lists(texts, max_size=2).map(tuple)),
    st.builds(StepCompleted, name=texts, value=data),
    st.builds(
        RunPaused, pending=st.builds(Pending, texts, st.just("confirm"), calls, schema=st.none() | objects).map(lambda p: (p,))
    ),
)


@given(events)
def test_an_event_comes_back_from_its_line_as_it_was(event: Event) -> None:
    line = write_event(event)

    assert event == read_event(line)
    assert line.isascii()
    assert "\n" not in line


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert message == decode(json.loads(dump_json(encode(message))), Message)


@given(data)
def test_what_users_store_is_never_taken_for_structure(value: Any) -> None:
    event = read_event(write_event(StepCompleted(name="x", value=value)))

    assert isinstance(event, StepCompleted)
    assert value == event.value


@pytest.mark.parametrize(
    "line",
    ["", "null", "[]", "{}", '{"kind":"nothing"}', '{"kind":"text_delta"}', '{"kind":"__import__"}', "\x80", '{"kind":["x"]}'],
)
def test_a_line_that_is_no_event_is_said_to_be_damaged(line: str) -> None:
    with pytest.raises(StorageCorrupt):
        read_event(line)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_bytes_make_the_codec_fail_otherwise(line: bytes | str) -> None:
    try:
        load_json(line)
    except InvalidInput:
        pass


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: 2, (1,): 2}, {"a": {1, 2}}, b"bytes"])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        dump_json(value)


def test_what_contains_itself_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)

    with pytest.raises(InvalidInput):
        dump_json(circle)


def test_an_exception_stays_in_the_process() -> None:
    event = RunFailed(error=ErrorInfo("X", "it failed"), exception=ValueError("secret"))

    assert "secret" not in write_event(event)
    assert "secret" not in repr(event)


def test_every_event_is_documented_and_has_a_kind_of_its_own() -> None:
    assert len({event.kind for event in EVENT_TYPES}) == len(EVENT_TYPES)
    assert all(event.__doc__ for event in EVENT_TYPES)


@given(st.lists(messages, max_size=8))
def test_a_repaired_conversation_pairs_every_call_with_one_result(conversation: list[Message]) -> None:
    repaired = repair(conversation)

    roles = [message.role for message in repaired]
    assert roles == sorted(roles, key=lambda role: role != "system")  # system messages first
    waiting: list[str] = []
    for message in repaired:
        assert message.parts
        if message.role == "tool":
            assert sorted(set(waiting)) == sorted(part.call_id for part in message.parts if isinstance(part, ToolResult))
            waiting = []
            continue
        assert not waiting
        if message.role == "assistant":
            waiting = [part.id for part in message.parts if isinstance(part, ToolCall)]
    assert not waiting


@given(st.lists(messages, max_size=8))
def test_repairing_twice_changes_nothing_more(conversation: list[Message]) -> None:
    once = repair(conversation)

    assert once == repair(once)


def test_a_right_conversation_is_left_part_by_part_as_it_was() -> None:
    conversation = (
        Message("system", "s"),
        Message("user", "q"),
        Message("assistant", (ToolCall("a", "x"), ToolCall("b", "x"))),
        Message("tool", (ToolResult("a", "x"), ToolResult("b", "x"))),
        Message("assistant", "done"),
    )

    assert conversation == repair(conversation)
    assert all(map(is_, conversation, repair(conversation)))  # so that what was encoded once is not encoded again


def test_a_missing_result_is_explained() -> None:
    repaired = repair([Message("user", "q"), Message("assistant", ToolCall("a", "x")), Message("user", "next")])

    assert MISSING == repaired[2].parts[0].content  # type: ignore[union-attr]


@given(st.lists(calls, max_size=6), st.sets(st.sampled_from(["a", "b", "x"])))
def test_call_ids_become_unique_and_right_ones_stay(given_calls: list[ToolCall], taken: set[str]) -> None:
    message = unique_call_ids(Message("assistant", tuple(given_calls)), taken)

    identifiers = [call.id for call in message.tool_calls]
    assert len(set(identifiers)) == len(identifiers)
    assert "" not in identifiers
    assert not taken & set(identifiers)
    if [call.id for call in given_calls] == identifiers:
        assert message.parts == tuple(given_calls)


@given(st.text(max_size=30))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        ref = parse_ref(text)
    except InvalidRef:
        return
    assert ref.plugin
    assert text in (ref.plugin, f"{ref.plugin}:{ref.rest}", ref.rest)


@pytest.mark.parametrize(
    ("text", "plugin", "rest"),
    [
        ("openai:gpt-5", "openai", "gpt-5"),
        ("calculator", "calculator", ""),
        ("sqlite:///agents.db", "sqlite", "sqlite:///agents.db"),
        ("openai_compatible:org/model:free", "openai_compatible", "org/model:free"),
    ],
)
def test_a_reference_is_read_by_one_grammar(text: str, plugin: str, rest: str) -> None:
    ref = parse_ref(text)

    assert (plugin, rest) == (ref.plugin, ref.rest)


def test_the_password_of_a_url_is_never_shown() -> None:
    ref = parse_ref("postgresql://ada:hunter2@db/agents")

    assert "hunter2" not in f"{ref} {ref!r}"
    assert "hunter2" in ref.rest


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret("hunter2")

    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {secret:>10}"
    assert "hunter2" == secret.reveal()
    with pytest.raises(TypeError):
        dump_json(secret.__reduce__())


scalars = st.one_of(st.text(max_size=3), st.integers(-3, 3), st.booleans(), st.sampled_from([0.5, 1.0]))
filters: st.SearchStrategy[Filter] = st.recursive(
    st.one_of(
        st.builds(Eq, st.sampled_from("ab"), scalars | st.none()),
        st.builds(In, st.sampled_from("ab"), st.lists(scalars, max_size=3).map(tuple)),
        st.builds(Range, st.sampled_from("ab"), ge=st.none() | scalars, lt=st.none() | scalars),
    ),
    lambda inner: st.builds(And, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=4,
)


@given(filters, st.dictionaries(st.sampled_from("ab"), scalars | st.none(), max_size=2))
def test_more_filters_never_widen_what_is_found(where: Filter, value: dict[str, object]) -> None:
    both = And((where, Eq("a", "x")))

    assert matches(both, value) <= matches(where, value)
    assert matches(And(()), value)
    assert not matches(In("a", ()), value)


def test_usage_adds_up() -> None:
    total = Usage(1, 2, cost=Decimal("0.1")) + Usage(3, 4) + Usage(cost=Decimal("0.2"))

    assert (4, 6, 10, Decimal("0.3")) == (total.input_tokens, total.output_tokens, total.total_tokens, total.cost)


def test_times_are_aware() -> None:
    event = RunStarted(runnable="x", input=())

    assert event.at.tzinfo is UTC
    assert event.at <= datetime.now(UTC)
    assert evolve(event, seq=1) != event
