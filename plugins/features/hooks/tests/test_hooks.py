"""When hooks are called, and what their errors do."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from ergaster import Agent, Kernel, RunContext, tool, wait
from ergaster.errors import InvalidOption
from ergaster.messages import ToolCall
from ergaster.testing import FeatureContract, ScriptedModel
from ergaster_hooks import Hooks
from ergaster_memory import MemoryStorage


class TestContract(FeatureContract):
    @pytest.fixture
    def feature(self) -> Hooks:
        async def pass_by(context: RunContext) -> None:
            await asyncio.sleep(0)

        return Hooks([pass_by], after=[pass_by], background=[pass_by])


class TestContractWithoutHooks(FeatureContract):
    ref = "hooks"


class Diary:
    """Makes hooks that write down their name."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def hook(self, name: str, *, error: Exception | None = None) -> Any:
        async def write(context: RunContext) -> None:
            await asyncio.sleep(0)
            self.lines.append(f"{name} {context.input[0].text}")
            if error is not None:
                raise error

        return write

    def model(self) -> ScriptedModel:
        def answer(request: Any) -> str:
            self.lines.append("model")
            return "ok"

        return ScriptedModel(answer)


async def test_hooks_are_called_in_their_order_around_the_run() -> None:
    diary = Diary()
    hooks = {
        "before": [diary.hook("before 1"), diary.hook("before 2")],
        "after": [diary.hook("after 1"), diary.hook("after 2")],
        "background": [diary.hook("background")],
    }
    agent = Agent(model=diary.model(), hooks=hooks)

    await agent.arun("x")
    assert ["before 1 x", "before 2 x", "model", "after 1 x", "after 2 x"] == diary.lines
    await agent.aclose()

    assert "background x" == diary.lines[-1]


async def test_the_first_option_is_before() -> None:
    diary = Diary()

    await Agent(model=diary.model(), hooks=[diary.hook("before")]).arun("x")

    assert ["before x", "model"] == diary.lines


async def test_plain_functions_run_in_a_thread_and_see_the_run() -> None:
    seen: list[Any] = []

    def plain(context: RunContext) -> None:
        seen.append((context.run_id, context.user_id, threading.current_thread() is threading.main_thread()))
        context.session_state["city"] = "Bern"

    model = ScriptedModel(["ok"])
    agent = Agent(model=model, instructions="In ${state.city}.", storage=MemoryStorage(), hooks=[plain])

    result = await agent.arun("x", user_id="ada")

    assert [(result.run_id, "ada", False)] == seen
    assert "In Bern." == model.requests[0].messages[0].text


@pytest.mark.parametrize("is_streaming", [True, False])
async def test_an_error_before_fails_the_run_with_itself(is_streaming: bool) -> None:
    diary = Diary()
    hooks = {"before": [diary.hook("one", error=PermissionError("not today")), diary.hook("two")], "after": [diary.hook("no")]}
    agent = Agent(model=diary.model(), hooks=hooks)

    if is_streaming:
        last = [event async for event in agent.astream("x")][-1]
        assert ("run_failed", "not today") == (last.kind, last.error.message)
    else:
        with pytest.raises(PermissionError, match="not today"):
            await agent.arun("x")

    assert ["one x"] == diary.lines


async def test_a_resumed_run_calls_only_those_that_had_not_ended() -> None:
    diary = Diary()
    failing = [RuntimeError("down")]

    async def fail_once(context: RunContext) -> None:
        diary.lines.append("fails once")
        if failing:
            raise failing.pop()

    agent = Agent(model=diary.model(), storage=MemoryStorage(), hooks=[diary.hook("first"), fail_once])

    with pytest.raises(RuntimeError, match="down"):
        await agent.arun("x", run_id="r")
    await agent.aresume("r")

    assert ["first x", "fails once", "fails once", "model"] == diary.lines


async def test_errors_after_the_run_are_logged_and_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary()
    hooks = {
        "after": [diary.hook("one", error=ValueError("a")), diary.hook("two")],
        "background": [diary.hook("three", error=ValueError("b"))],
    }
    agent = Agent(model=diary.model(), hooks=hooks)

    with caplog.at_level(logging.ERROR, "ergaster_hooks"):
        result = await agent.arun("x")
        await agent.aclose()

    assert "ok" == result.text
    assert ["model", "one x", "two x", "three x"] == diary.lines
    assert ["a", "b"] == [str(record.exc_info[1]) for record in caplog.records if record.exc_info]


async def test_nobody_waits_for_the_background_but_close() -> None:
    let_go, ended = asyncio.Event(), asyncio.Event()

    async def work(context: RunContext) -> None:
        await let_go.wait()
        ended.set()

    agent = Agent(model=ScriptedModel(["ok"]), hooks={"background": [work]})

    await agent.arun("x")
    assert not ended.is_set()
    let_go.set()
    await agent.aclose()

    assert ended.is_set()


def test_closing_does_not_wait_for_another_event_loop() -> None:
    async def make_event() -> asyncio.Event:
        return asyncio.Event()

    async def let_go(event: asyncio.Event) -> None:
        event.set()

    event = wait(make_event())

    async def work(context: RunContext) -> None:
        await event.wait()

    agent = Agent(model=ScriptedModel(["ok"]), hooks={"background": [work]})
    agent.run("x")
    asyncio.run(agent.aclose())

    assert not event.is_set()
    wait(let_go(event))
    wait(agent.aopen())
    wait(agent.aclose())


def test_a_background_that_its_loop_cuts_off_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def work(context: RunContext) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        await Agent(model=ScriptedModel(["ok"]), hooks={"background": [work]}).arun("x")
        await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING, "ergaster_hooks"):
        asyncio.run(run())

    assert ["close the agent before its loop ends"] == [record.getMessage().rpartition("; ")[2] for record in caplog.records]


async def test_a_paused_run_calls_after_when_it_has_completed() -> None:
    @tool(confirm=True)
    async def order() -> str:
        """Order."""
        return "ordered"

    diary = Diary()
    model = ScriptedModel([[ToolCall("c", "order")], "ok"])
    hooks = {"before": [diary.hook("before")], "after": [diary.hook("after")]}
    agent = Agent(model=model, tools=[order], storage=MemoryStorage(), hooks=hooks)

    paused = await agent.arun("x")
    assert ["before x"] == diary.lines
    await agent.aresume(paused.run_id, [paused.pending[0].approve()])

    assert ["before x", "after x"] == diary.lines


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(InvalidOption, match="before"):
        Kernel().create("feature", "hooks", {"before": ["print"]})
