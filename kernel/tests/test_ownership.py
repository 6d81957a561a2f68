"""One owner for each run, sessions shared by many, limits shared by a tree, and the synchronous door."""

from __future__ import annotations

import asyncio
import os
import threading
from decimal import Decimal
from typing import Any

import pytest

from ergaster import Agent, Limits, RunContext, Usage, wait
from ergaster.codec import decode
from ergaster.contracts.feature import Feature
from ergaster.contracts.model import ModelResponse
from ergaster.errors import AccessDenied, LimitReached, RunBusy, SyncDoorError, UnknownRun
from ergaster.events import StepStarted
from ergaster.journal import load_state, read_journal
from ergaster.messages import Json, Message, StopReason, ToolCall, ToolResult
from ergaster.sessions import RUNS, SESSIONS
from ergaster.testing import ScriptedModel
from ergaster_memory import MemoryStorage


def call(name: str, arguments: str = "{}", identifier: str = "c1") -> ToolCall:
    return ToolCall(identifier, name, arguments)


def endless(name: str) -> ScriptedModel:
    """A model that calls a tool for as long as it has one."""
    return ScriptedModel(lambda request: [call(name, identifier="")] if request.tools else "final")


def idle() -> None:
    """Do nothing."""


async def test_a_run_that_is_at_work_is_not_taken_without_force() -> None:
    storage = MemoryStorage()
    began, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        """Work."""
        began.set()
        await go_on.wait()
        return "worked"

    agent = Agent(model=ScriptedModel([[call("work")], "done"]), tools=[work], storage=storage)
    running = asyncio.create_task(agent.arun("go", run_id="r1"))
    await began.wait()

    with pytest.raises(RunBusy, match="force=True"):
        await agent.aresume("r1")
    go_on.set()
    assert "done" == (await running).text


async def test_the_record_of_a_run_says_how_it_stands() -> None:
    storage = MemoryStorage()
    agent = Agent(model=ScriptedModel(["done"]), storage=storage, name="clerk")

    result = await agent.arun("go", user_id="ada", session_id="s1")

    record = await storage.get(RUNS, "default", result.run_id)
    assert record is not None
    wanted = {"status": "completed", "runnable": "clerk", "user_id": "ada", "session_id": "s1", "lease_until": None}
    assert wanted == {key: record.value[key] for key in wanted}


async def test_a_session_belongs_to_the_user_who_began_it() -> None:
    storage = MemoryStorage()
    agent = Agent(model=ScriptedModel(lambda request: "ok"), storage=storage)
    await agent.arun("mine", user_id="ada", session_id="s1")

    with pytest.raises(AccessDenied):
        await agent.arun("yours", user_id="bob", session_id="s1")
    with pytest.raises(AccessDenied):
        await agent.arun("nobody's", session_id="s1")
    assert "ok" == (await agent.arun("elsewhere", user_id="bob", session_id="s1", tenant="other")).text


async def test_runs_of_one_session_at_once_lose_no_turn_and_no_key_of_the_state() -> None:
    storage = MemoryStorage()

    async def note(key: str, context: RunContext) -> str:
        """Note."""
        context.session_state[key] = True
        context.session_state.setdefault("list", [])
        return "noted"

    def reply(request: Any) -> Any:
        last = request.messages[-1]
        return "ok" if last.role == "tool" else [call("note", f'{{"key": "{last.text}"}}')]

    agent = Agent(model=ScriptedModel(reply), tools=[note], storage=storage, history=False)

    await asyncio.gather(*(agent.arun(f"k{n}", session_id="s1") for n in range(30)))

    record = await storage.get(SESSIONS, "default", "s1")
    assert record is not None
    assert {f"k{n}" for n in range(30)} <= set(record.value["state"])
    assert 30 == record.value["turns"] == await storage.last_seq("default", "session:s1")


async def test_a_session_knows_what_its_runs_used() -> None:
    storage = MemoryStorage()
    agent = Agent(model=ScriptedModel(["one", "two"]), storage=storage)

    for _ in range(2):
        await agent.arun("x", session_id="s1")

    record = await storage.get(SESSIONS, "default", "s1")
    assert record is not None
    assert Usage(20, 2) == decode(record.value["usage"], Usage)


async def test_a_change_inside_a_value_of_the_state_is_saved() -> None:
    storage = MemoryStorage()

    async def note(context: RunContext) -> str:
        """Note."""
        context.session_state["list"].append("more")
        del context.session_state["old"]
        return "noted"

    agent = Agent(model=ScriptedModel([[call("note")], "ok", "again"]), tools=[note], storage=storage)
    await agent.arun("x", session_id="s1", session_state={"list": ["first"], "old": 1})

    record = await storage.get(SESSIONS, "default", "s1")
    assert record is not None
    assert {"list": ["first", "more"]} == record.value["state"]


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(model_calls=4), "model calls"),
        (Limits(tool_calls=3), "tool calls"),
        (Limits(tokens=40), "tokens"),
        (Limits(cost=Decimal("0.03")), "cost"),
    ],
)
async def test_an_endless_loop_stops_at_its_limit_with_a_final_answer(limits: Limits, limit: str) -> None:
    usage = Usage(10, 1, cost=Decimal("0.01"))
    scripted = endless("idle")

    def priced(request: Any) -> ModelResponse:
        reply = [call("idle", identifier="")] if request.tools else "final"
        message = Message("assistant", reply)  # type: ignore[arg-type]
        return ModelResponse(message=message, usage=usage)

    scripted.replies = priced

    result = await Agent(model=scripted, tools=[idle], limits=limits).arun("go")

    assert ("final", StopReason.LIMIT) == (result.text, result.stop_reason)
    assert f"limit of {limit}" in scripted.requests[-1].messages[-1].text
    assert 6 > len(scripted.requests)


async def test_a_limit_can_fail_the_run_instead() -> None:
    with pytest.raises(LimitReached, match=r"Limits\(model_calls=…\)"):
        await Agent(model=endless("idle"), tools=[idle], limits=Limits(model_calls=2, on_limit="fail")).arun("go")


async def test_agents_that_call_each_other_share_one_budget_and_stop_at_a_depth() -> None:
    agents: list[Agent] = []
    depths: list[int] = []

    async def deeper(context: RunContext) -> str:
        """Go deeper."""
        depths.append(context.depth)
        return (await agents[0].arun("deeper", parent=context)).text

    model = ScriptedModel(lambda request: "bottom" if request.messages[-1].role == "tool" else [call("deeper")])
    agents.append(Agent(model=model, tools=[deeper], limits=Limits(depth=3)))

    result = await agents[0].arun("go")

    assert [0, 1, 2, 3] == depths
    assert "bottom" == result.text
    refusals = [
        part.content
        for request in model.requests
        for message in request.messages
        for part in message.parts
        if isinstance(part, ToolResult) and part.is_error
    ]
    assert any("4 deep" in refusal for refusal in refusals)


async def test_what_nested_runs_spend_counts_for_the_outer_one() -> None:
    inner = Agent(model=endless("idle"), tools=[idle], name="inner", limits=Limits(model_calls=None))
    outer_model = ScriptedModel([[call("inner", '{"input": "go"}')], "never asked for tools again", "final"])
    outer = Agent(model=outer_model, tools=[inner], limits=Limits(model_calls=6))

    result = await outer.arun("go")

    assert 6 + 2 == len(inner.model.requests) + len(outer_model.requests)  # type: ignore[union-attr]
    assert StopReason.LIMIT == result.stop_reason


async def test_a_nested_run_is_entered_again_and_its_question_asked_once() -> None:
    storage = MemoryStorage()
    acts: list[str] = []

    def pay() -> str:
        """Pay."""
        acts.append("paid")
        return "paid"

    from ergaster import tool

    inner_model = ScriptedModel([[call("pay")], "inner done"])
    inner = Agent(model=inner_model, tools=[tool(confirm=True)(pay)], name="inner", storage=storage)
    outer_model = ScriptedModel([[call("inner", '{"input": "pay"}', "k1")], "outer done"])
    outer = Agent(model=outer_model, tools=[inner], storage=storage, name="outer")

    paused = await outer.arun("go", run_id="r1")
    assert ["k1/c1:confirm"] == [each.id for each in paused.pending]
    result = await outer.aresume("r1", [paused.pending[0].approve()])

    assert ("outer done", ["paid"], 2, 2) == (
        result.text,
        acts,
        len(inner_model.requests),
        len(outer_model.requests),
    )
    child = await read_journal(storage, "default", "r1.k1")
    assert "r1" == child[0].parent_run_id  # type: ignore[attr-defined]


async def test_the_events_of_a_nested_run_carry_its_path() -> None:
    inner = Agent(model=ScriptedModel(["inner answer"]), name="inner")
    outer = Agent(model=ScriptedModel([[call("inner", '{"input": "x"}')], "ok"]), tools=[inner], name="outer")

    events = [event async for event in outer.astream("go")]

    assert ("outer", "inner") in {event.path for event in events}
    assert ("outer",) == events[-1].path


class Steps(Feature):
    """Does something costly once in a run."""

    name = "steps"

    def __init__(self) -> None:
        self.done = 0

    async def instructions(self, context: RunContext) -> str:
        async def costly() -> Json:
            self.done += 1
            return {"found": self.done}

        await context.step("costly", costly)
        return str(await context.step("costly", costly))


async def test_a_step_of_a_feature_runs_once_in_the_life_of_a_run() -> None:
    feature = Steps()

    def ask() -> str:
        """Ask."""
        return ""

    from ergaster import tool

    agent = Agent(
        model=ScriptedModel([[call("ask")], "ok"]),
        tools=[tool(confirm=True)(ask)],
        features=[feature],
        storage=MemoryStorage(),
    )
    paused = await agent.arun("go")
    await agent.aresume(paused.run_id, [paused.pending[0].approve()])

    assert 1 == feature.done
    assert StepStarted.is_durable is False


async def test_what_a_feature_notes_after_the_answer_is_kept() -> None:
    class Counting(Feature):
        name = "counting"

        async def after_run(self, context: RunContext) -> None:
            context.state(self)["answers"] = len(context.messages)
            context.session_state["answered"] = True

    storage = MemoryStorage()
    result = await Agent(model=ScriptedModel(["ok"]), features=[Counting()], storage=storage).arun("x", session_id="s1")

    state = await load_state(storage, "default", result.run_id)
    record = await storage.get(SESSIONS, "default", "s1")
    assert record is not None
    assert ({"answers": 2}, {"answered": True}) == (state.feature_states["counting"], record.value["state"])


async def test_a_run_without_a_storage_is_said_not_to_outlive_its_process() -> None:
    with pytest.raises(UnknownRun, match="storage"):
        await Agent(model=ScriptedModel([])).aresume("nothing")


def test_the_synchronous_door_works_in_a_script() -> None:
    agent = Agent(model=ScriptedModel(lambda request: "ok"))

    assert "ok" == agent.run("hi").text
    assert ["run_started", "run_completed"] == [event.kind for event in agent.stream("hi") if event.is_durable][::2]


def test_the_synchronous_door_works_in_many_threads() -> None:
    agent = Agent(model=ScriptedModel(lambda request: request.messages[-1].text))
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = agent.run(str(number)).text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {number: str(number) for number in range(20)} == answers


async def test_the_synchronous_door_works_where_a_loop_is_running() -> None:
    assert "ok" == Agent(model=ScriptedModel(["ok"])).run("hi").text


def test_a_synchronous_call_on_our_own_loop_is_refused_and_not_a_deadlock() -> None:
    async def inside() -> str:
        return Agent(model=ScriptedModel(["never"])).run("hi").text

    with pytest.raises(SyncDoorError, match="arun"):
        wait(inside())


def test_blocking_tools_may_run_agents_however_deep() -> None:
    agents: dict[int, Agent] = {}

    def make(depth: int) -> Agent:
        def ask() -> str:
            """Ask the next."""
            return agents[depth + 1].run("x").text

        tools = [ask] if depth < 5 else []
        model = ScriptedModel(
            lambda request: (
                [call("ask", identifier=f"c{n}") for n in range(3)]
                if request.tools and request.messages[-1].role == "user"
                else "ok"
            )
        )
        return Agent(model=model, tools=tools, name=f"a{depth}")

    agents.update((depth, make(depth)) for depth in range(6))

    assert "ok" == agents[3].run("go").text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_door_is_made_anew_after_a_fork() -> None:
    agent = Agent(model=ScriptedModel(lambda request: "ok"))
    agent.run("before")

    child = os.fork()
    if child == 0:
        os._exit(0 if agent.run("after").text == "ok" else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_leaving_a_stream_early_stops_its_work() -> None:
    stopped = threading.Event()

    class Slow(ScriptedModel):
        async def stream(self, request: Any) -> Any:
            from ergaster.contracts.model import Delta

            try:
                while True:
                    yield Delta("text", "x")
                    await asyncio.sleep(0)
            finally:
                stopped.set()

    for event in Agent(model=Slow([])).stream("hi"):
        if event.kind == "text_delta":
            break

    assert stopped.wait(5)
