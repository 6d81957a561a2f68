"""A model that sends what no model should: nothing runs that was not checked, and every session stays good."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ergaster import Agent, Limits, ToolContext, tool
from ergaster.contracts.model import ModelRequest, ModelSettings
from ergaster.errors import BadRequest, ErgasterError, LimitReached
from ergaster.messages import Image, Message, ToolCall, ToolResult
from ergaster.testing import ScriptedModel
from ergaster.testing.hostile import deep_json
from ergaster.testing.loopback import LoopbackServer, Reply
from ergaster.testing.scripted import Reply as Said

TEXTS = {
    "surrogates": "\ud800 and \udfff",
    "NUL": "a\0b",
    "bidi": "\u202egnp.exe\u2066",
    "lines and escapes": "\r\ndata: {}\r\n\r\n\x1b[2J",
    "eight megabytes": "x" * (8 * 1024 * 1024),
    "deep JSON": deep_json(5_000),
    "empty": "",
}


@pytest.mark.parametrize("name", TEXTS)
async def test_a_strange_answer_is_kept_and_the_session_goes_on(tmp_path: Path, name: str) -> None:
    text = TEXTS[name]
    model = ScriptedModel([text, "fine"], piece=1_000_000)
    agent = Agent(model=model, storage=f"sqlite:///{tmp_path / 'runs.db'}")

    events = [event async for event in agent.astream("go", run_id="r1", session_id="s1")]
    after = await agent.arun("go on", session_id="s1")

    assert events[-1].kind == "run_completed"
    assert after.text == "fine"
    kept = [message.text for message in model.requests[1].messages if message.role == "assistant"]
    assert kept in ([text], [events[-1].text], [])  # type: ignore[attr-defined]
    assert [event.seq async for event in agent.afollow("r1")] == list(range(1, 4))
    await agent.kernel.aclose()


@pytest.mark.parametrize("name", TEXTS)
async def test_strange_arguments_are_checked_and_the_session_goes_on(tmp_path: Path, name: str) -> None:
    given: list[str] = []

    @tool
    async def keep(text: str) -> str:
        """Keep a text."""
        given.append(text)
        return text

    text = TEXTS[name]
    raw = [text, json.dumps({"text": text}), json.dumps({"text": text, text[:100]: 1}), f'{{"text": {deep_json()}}}']
    calls = [ToolCall(f"c{number}", "keep", arguments) for number, arguments in enumerate(raw)]
    calls.append(ToolCall("c9", text[:200] or "none", "{}"))
    model = ScriptedModel([calls, "ok", "fine"])
    agent = Agent(model=model, tools=[keep], storage=f"sqlite:///{tmp_path / 'runs.db'}")

    result = await agent.arun("go", run_id="r1", session_id="s1")
    after = await agent.arun("go on", session_id="s1")

    assert result.text == "ok"
    assert after.text == "fine"
    assert all(each == text for each in given)
    results = [part for part in result.messages[2].parts if isinstance(part, ToolResult)]
    assert [each.call_id for each in results] == [call.id for call in result.messages[1].tool_calls]
    assert all(each.is_error for each in (results[0], results[3], results[4]) if each.content != text)
    json.dumps([message.text for message in after.messages])
    await agent.kernel.aclose()


async def test_two_hundred_calls_at_once_run_within_the_limit_of_parallel_ones() -> None:
    at_work, most, ids = 0, 0, set()

    @tool
    async def work(context: ToolContext) -> str:
        """Work."""
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        ids.add(context.call_id)
        await asyncio.sleep(0)
        at_work -= 1
        return "worked"

    calls = [ToolCall("same", "work") for _ in range(300)]
    agent = Agent(model=ScriptedModel([calls, "ok"]), tools=[work], limits=Limits(parallel_tools=5, tool_calls=200))

    result = await agent.arun("go")

    assert (most, len(ids), result.text) == (5, 200, "ok")
    results = [part for part in result.messages[2].parts if isinstance(part, ToolResult)]
    assert len({each.call_id for each in results}) == 300
    assert sum(each.is_error for each in results) == 100


async def test_a_call_of_an_unknown_or_withheld_tool_runs_nothing() -> None:
    acts: list[str] = []

    @tool
    async def act() -> str:
        """Act."""
        acts.append("act")
        return "done"

    names = ["Act", "act ", "act\0", "__class__", "run_tool", "", "other.act"]
    calls = [ToolCall(f"c{number}", name) for number, name in enumerate(names)]

    result = await Agent(model=ScriptedModel([calls, "ok"]), tools=[act]).arun("go")

    assert acts == []
    assert all(part.is_error for part in result.messages[2].parts if isinstance(part, ToolResult))
    assert result.text == "ok"


async def test_an_agent_that_calls_itself_for_ever_stops_at_the_budget_of_the_outermost() -> None:
    asked = 0

    def reply(request: ModelRequest) -> Said:
        nonlocal asked
        asked += 1
        return [ToolCall("", "again", '{"input": "go on"}')] if request.tools else "enough"

    @tool
    async def again(input: str, context: ToolContext) -> str:
        """Start over."""
        return (await agent.arun(input, parent=context)).text

    agent = Agent(model=ScriptedModel(reply), tools=[again], limits=Limits(model_calls=20, depth=6, on_limit="answer"))

    result = await agent.arun("go")

    assert result.text == "enough"
    assert asked <= 21 + 6  # one last answer for each run that is open
    with pytest.raises(LimitReached):
        await agent.arun("go", limits=Limits(model_calls=5, on_limit="fail"))


ABSURD = {
    "temperature": ModelSettings(temperature=float("nan")),
    "endless temperature": ModelSettings(temperature=float("inf")),
    "replies": ModelSettings(extra_body={"n": 10**6}),
    "tokens": ModelSettings(max_tokens=10**12),
    "header": ModelSettings(extra_headers={"x": "a\r\nx-evil: 1"}),
}


@pytest.fixture
def served() -> object:
    with LoopbackServer(default=Reply(text="ok")) as server:
        yield server


def agent_of(server: LoopbackServer) -> Agent:
    return Agent(model={"use": "openai_compatible:loopback-1", "base_url": server.base_url, "images": True})


@pytest.mark.parametrize("name", ABSURD)
async def test_absurd_settings_end_a_run_before_the_provider_is_asked(served: LoopbackServer, name: str) -> None:
    agent = agent_of(served)

    with pytest.raises(BadRequest):
        await agent.arun("go", settings=ABSURD[name])

    assert served.requests == []
    await agent.kernel.aclose()


async def test_an_input_that_costs_a_fortune_ends_a_run_before_the_provider_is_asked(served: LoopbackServer) -> None:
    agent = agent_of(served)
    pictures = Message("user", [Image(data=b"\x89PNG\r\n\x1a\n", media_type="image/png")] * 10_000)

    for given in ("x" * 100_000_000, pictures):
        with pytest.raises(ErgasterError):
            await agent.arun(given)  # type: ignore[arg-type]

    assert served.requests == []
    await agent.kernel.aclose()
