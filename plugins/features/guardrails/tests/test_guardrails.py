"""Where guardrails stand, and that nothing passes them in pieces."""

from __future__ import annotations

import re
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergaster import Agent, Kernel, Message, Spec
from ergaster.contracts.context import RunContext
from ergaster.contracts.guardrail import Allow, Block, Guardrail, GuardStage, Rewrite, Verdict
from ergaster.errors import ContentBlocked, InvalidOption, UnknownPlugin
from ergaster.events import TextDelta, ToolArgumentsDelta
from ergaster.messages import Reasoning, StopReason, Text, ToolCall, ToolResult
from ergaster.plugins import PluginManager
from ergaster.testing import FeatureContract, ScriptedModel
from ergaster_guardrails.window import Window
from ergaster_memory import MemoryStorage

EVERYWHERE: frozenset[GuardStage] = frozenset({"input", "output", "tool_arguments", "tool_result"})


class Masks(Guardrail):
    """Masks the word `secret` with its number, and blocks `forbidden`."""

    def __init__(self, *stages: GuardStage) -> None:
        self.stages = frozenset(stages) or EVERYWHERE
        self.seen: list[tuple[GuardStage, str]] = []

    async def check(self, stage: GuardStage, content: str, context: RunContext) -> Verdict:
        self.seen.append((stage, content))
        if "forbidden" in content:
            return Block("it is not allowed")
        text = re.sub(r"secret \d+", "[masked]", content)
        return Allow() if text == content else Rewrite(text)


class Breaks(Guardrail):
    """Fails."""

    async def check(self, stage: GuardStage, content: str, context: RunContext) -> Verdict:
        raise ValueError(f"cannot judge {content}")


class Forgets(Guardrail):
    """Gives no verdict."""

    async def check(self, stage: GuardStage, content: str, context: RunContext) -> Verdict:
        return None  # type: ignore[return-value]


class TestContract(FeatureContract):
    ref = "guardrails"
    options: ClassVar = {"guards": [Masks()]}


class TestContractWithTheWholeReplyHeldBack(FeatureContract):
    ref = "guardrails"
    options: ClassVar = {"guards": [Masks()], "window": 0}


async def streamed(agent: Agent, text: str = "hi") -> tuple[str, list[object]]:
    events: list[object] = [event async for event in agent.astream(text)]
    return "".join(event.text for event in events if isinstance(event, TextDelta)), events


async def test_the_model_reads_the_input_as_it_was_rewritten() -> None:
    model = ScriptedModel(["ok"])

    await Agent(model=model, guardrails=[Masks()]).arun("my secret 12")

    assert ["my [masked]"] == [message.text for message in model.requests[0].messages]


async def test_a_blocked_input_is_an_error_before_anything_is_sent() -> None:
    model = ScriptedModel(["never"])

    with pytest.raises(ContentBlocked, match="blocked the input: it is not allowed") as raised:
        await Agent(model=model, guardrails=[Masks()]).arun("forbidden")

    assert ("Masks", "input", "it is not allowed", []) == (
        raised.value.guardrail, raised.value.stage, raised.value.reason, model.requests,
    )  # fmt: skip


async def test_what_is_blocked_in_the_history_leaves_a_note() -> None:
    model = ScriptedModel(["one", "two"])
    storage = MemoryStorage()

    first = await Agent(model=model, storage=storage).arun("forbidden secret 1")
    await Agent(model=model, storage=storage, guardrails=[Masks()]).arun("again", session_id=first.session_id)

    assert "[withheld by the guardrail Masks: it is not allowed]" == model.requests[-1].messages[0].text


@pytest.mark.parametrize("window", [0, 16, 256])
async def test_an_answer_is_shown_and_kept_as_it_was_rewritten(window: int) -> None:
    answer = "The code is secret 12345 and the other one is secret 67890, as you know. " * 8
    agent = Agent(model=ScriptedModel([answer, answer]), guardrails={"guards": [Masks("output")], "window": window})

    shown, events = await streamed(agent)

    assert answer.replace("secret 12345", "[masked]").replace("secret 67890", "[masked]") == shown
    assert shown == events[-1].text == (await agent.arun("hi")).text


async def test_reasoning_is_an_output_as_well() -> None:
    reply = Message("assistant", [Reasoning("I think secret 1", signature="s"), Text("ok")])

    result = await Agent(model=ScriptedModel([reply]), guardrails=[Masks()]).arun("hi")

    assert Reasoning("I think [masked]") == result.messages[-1].parts[0]


@pytest.mark.parametrize("place", [0, 300, 900])
async def test_of_a_blocked_answer_no_part_of_what_is_blocked_is_shown(place: int) -> None:
    answer = "word " * (place // 5) + "this is forbidden text " + "word " * 100
    agent = Agent(model=ScriptedModel([answer, answer]), guardrails=[Masks("output")])
    refusal = "the guardrail 'Masks' blocked the output: it is not allowed"

    shown, events = await streamed(agent)
    result = await agent.arun("hi")

    assert shown.endswith(refusal)
    assert not shown.removesuffix(refusal).replace("word ", "").replace("this is ", "")
    assert (refusal, StopReason.REFUSAL) == (events[-1].text, events[-1].stop_reason)
    assert (refusal, StopReason.REFUSAL) == (result.text, result.stop_reason)
    assert result.usage.output_tokens > 0
    assert "forbidden text" not in str(events)


async def test_tools_get_and_give_what_passes() -> None:
    got: list[str] = []

    def look(text: str) -> str:
        """Look."""
        got.append(text)
        return f"{text} and secret 2"

    model = ScriptedModel([[ToolCall("c1", "look", r'{"text": "s\u0065cret 1"}')], "ok"])
    events = [event async for event in Agent(model=model, tools=[look], guardrails=[Masks()]).astream("hi")]

    assert ["[masked]"] == got
    result = model.requests[-1].messages[-1].parts[0]
    assert isinstance(result, ToolResult)
    assert "[masked] and [masked]" == result.content
    assert ['{"text":"[masked]"}'] == [event.text for event in events if isinstance(event, ToolArgumentsDelta)]
    assert "cret 1" not in str(events)


async def test_blocked_arguments_are_refused_and_blocked_results_withheld() -> None:
    ran: list[str] = []

    def look(text: str) -> str:
        """Look."""
        ran.append(text)
        return "forbidden result"

    calls = [ToolCall("c1", "look", '{"text": "forbidden"}'), ToolCall("c2", "look", '{"text": "fine"}')]
    model = ScriptedModel([calls, "ok"])
    await Agent(model=model, tools=[look], guardrails=[Masks()]).arun("hi")

    results = [part for part in model.requests[-1].messages[-1].parts if isinstance(part, ToolResult)]
    assert ["fine"] == ran
    assert "not run: the guardrail 'Masks' blocked the tool arguments" in results[0].content
    assert "its result is withheld" in results[1].content
    assert "forbidden result" not in results[1].content


async def test_arguments_that_a_guardrail_breaks_are_refused() -> None:
    class Unquotes(Guardrail):
        stages = frozenset({"tool_arguments"})

        async def check(self, stage: GuardStage, content: str, context: RunContext) -> Verdict:
            return Rewrite(content.replace('"', ""))

    def look(text: str) -> str:
        """Look."""
        raise AssertionError("never run")

    model = ScriptedModel([[ToolCall("c1", "look", '{"text": "x"}')], "ok"])
    await Agent(model=model, tools=[look], guardrails=[Unquotes()]).arun("hi")

    assert "no JSON" in model.requests[-1].messages[-1].parts[0].content


async def test_an_error_of_a_tool_is_checked_before_the_model_reads_it() -> None:
    def look() -> str:
        """Look."""
        raise ValueError("secret 7 leaked")

    model = ScriptedModel([[ToolCall("c1", "look")], "ok"])
    await Agent(model=model, tools=[look], guardrails=[Masks()]).arun("hi")

    assert "[masked] leaked" in model.requests[-1].messages[-1].parts[0].content


@pytest.mark.parametrize("broken", [Breaks(), Forgets()])
async def test_a_guardrail_that_fails_lets_nothing_pass_and_tells_no_content(broken: Guardrail) -> None:
    model = ScriptedModel(["never"])

    with pytest.raises(ContentBlocked) as raised:
        await Agent(model=model, guardrails=[broken]).arun("private")

    assert model.requests == []
    assert "private" not in str(raised.value)


async def test_guardrails_work_in_order_each_on_what_the_one_before_left() -> None:
    first, second = Masks(), Masks()

    await Agent(model=ScriptedModel(["ok"]), guardrails=[first, second]).arun("secret 1")

    assert ("input", "[masked]") in second.seen
    assert ("input", "secret 1") not in second.seen


async def test_a_message_is_checked_once_for_a_run_and_sent_as_the_same_object() -> None:
    def look() -> str:
        """Look."""
        return "seen"

    guard = Masks("input")
    model = ScriptedModel([[ToolCall("c1", "look")], [ToolCall("c2", "look")], "ok"])
    await Agent(model=model, tools=[look], guardrails=[guard]).arun("secret 1")

    assert 2 == len(guard.seen)
    assert model.requests[0].messages[0] is model.requests[2].messages[0]


async def test_guardrails_are_named_with_options() -> None:
    kernel = Kernel(plugins=PluginManager())
    kernel.plugins.register_spec("guardrail", Spec("masks", lambda ref, settings: Masks("input")))
    model = ScriptedModel(["ok", "ok"])

    await Agent(model=model, guardrails=["masks", {"use": "masks"}], kernel=kernel).arun("secret 1")

    assert "[masked]" == model.requests[0].messages[0].text
    with pytest.raises(UnknownPlugin, match="mask"):
        await Agent(model=model, guardrails=["mask"], kernel=kernel).arun("hi")


@pytest.mark.parametrize("options", [[], [3], {"guards": ["x"], "window": -1}])
async def test_wrong_options_are_refused(options: object) -> None:
    with pytest.raises(InvalidOption):
        await Agent(model=ScriptedModel([]), guardrails=options).arun("hi")


WORDS = st.sampled_from(["a", "word", "secret 1", "secret 123456", "  ", "secret", "42", "\n", "x" * 30])


@given(st.lists(WORDS, max_size=40), st.integers(1, 7), st.integers(14, 60))
async def test_what_is_no_longer_than_the_window_is_never_shown_in_part(words: list[str], piece: int, size: int) -> None:
    async def check(text: str) -> str:
        return re.sub(r"secret \d+", "[masked]", text)

    text = " ".join(words)
    window = Window(check, size)
    shown = ""
    for start in range(0, len(text), piece):
        shown += await window.feed(text[start : start + piece])
    shown += await window.flush()

    assert await check(text) == shown


async def test_a_rewrite_does_not_hold_the_text_back_to_the_end() -> None:
    async def check(text: str) -> str:
        return re.sub(r"secret \d+", "[masked]", text)

    window = Window(check, 32)
    shown = "".join([await window.feed(piece) for piece in ["some words and secret 1 "] * 20])

    assert 300 < len(shown) < 20 * len("some words and [masked] ")
    assert shown in "some words and [masked] " * 20
