"""What the history shows, and what it leaves out."""

from __future__ import annotations

import pytest

from ergaster import Agent, Message
from ergaster.messages import ToolCall, ToolResult
from ergaster.testing import FeatureContract, ScriptedModel
from ergaster_history import History
from ergaster_memory import MemoryStorage


class TestContract(FeatureContract):
    ref = "history"


def said(model: ScriptedModel) -> list[str]:
    return [message.text for message in model.requests[-1].messages]


async def test_a_second_run_of_the_session_sees_the_first() -> None:
    model = ScriptedModel(["Hello Ada.", "Your name is Ada."])
    agent = Agent(model=model, storage=MemoryStorage())

    first = await agent.arun("I am Ada.")
    await agent.arun("Who am I?", session_id=first.session_id)

    assert said(model) == ["I am Ada.", "Hello Ada.", "Who am I?"]


async def test_other_sessions_and_tenants_are_not_seen() -> None:
    model = ScriptedModel(["one", "two", "three"])
    agent = Agent(model=model, storage=MemoryStorage())

    first = await agent.arun("secret")
    await agent.arun("new")
    assert said(model) == ["new"]
    await agent.arun("elsewhere", session_id=first.session_id, tenant="other")
    assert said(model) == ["elsewhere"]


async def test_only_the_newest_turns_are_shown() -> None:
    model = ScriptedModel(lambda request: f"answer {request.messages[-1].text}")
    agent = Agent(model=model, storage=MemoryStorage(), history={"turns": 2})

    for number in range(5):
        await agent.arun(str(number), session_id="s")

    assert said(model) == ["2", "answer 2", "3", "answer 3", "4"]


async def test_turns_that_do_not_fit_the_tokens_are_left_out_whole() -> None:
    model = ScriptedModel(lambda request: "x" * 400)
    agent = Agent(model=model, storage=MemoryStorage(), history={"tokens": 300})

    for number in range(5):
        await agent.arun(str(number), session_id="s")

    assert [text[:1] for text in said(model)] == ["2", "x", "3", "x", "4"]


@pytest.mark.parametrize("shows_calls", [True, False])
async def test_tool_calls_are_shown_with_their_results_or_not_at_all(shows_calls: bool) -> None:
    async def look() -> str:
        """Look."""
        return "seen"

    model = ScriptedModel([[ToolCall("c1", "look")], "I looked.", "ok"])
    history = History(tool_calls=shows_calls)
    agent = Agent(model=model, tools=[look], storage=MemoryStorage(), history=history)

    first = await agent.arun("look")
    await agent.arun("again", session_id=first.session_id)

    shown = [part for message in model.requests[-1].messages for part in message.parts]
    assert shows_calls == any(isinstance(part, ToolCall) for part in shown)
    assert shows_calls == any(isinstance(part, ToolResult) for part in shown)


async def test_history_can_be_switched_off_for_an_agent_and_for_a_run() -> None:
    model = ScriptedModel(["one", "two", "three"])
    storage = MemoryStorage()

    first = await Agent(model=model, storage=storage, history=False).arun("I am Ada.")
    await Agent(model=model, storage=storage, history=False).arun("Who?", session_id=first.session_id)
    assert said(model) == ["Who?"]
    await Agent(model=model, storage=storage).arun("Who?", session_id=first.session_id, history=False)
    assert said(model) == ["Who?"]


async def test_the_instructions_come_before_the_history() -> None:
    model = ScriptedModel(["one", "two"])
    agent = Agent(model=model, storage=MemoryStorage(), instructions="Be brief.", examples=[Message("user", "example")])

    first = await agent.arun("first")
    await agent.arun("second", session_id=first.session_id)

    assert said(model) == ["Be brief.", "example", "first", "one", "second"]
