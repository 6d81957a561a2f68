"""Runs that wait for people, and what people decide."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from attrs import evolve

from ergaster import Agent, PauseRun, Policy, RetryTool, RunResult, StopRun, tool
from ergaster.contracts.storage import Storage
from ergaster.contracts.toolkit import Effect
from ergaster.errors import InvalidDecision, RunBusy, RunFinished, UnknownRun
from ergaster.events import ApprovalRequested, Pending
from ergaster.journal import Journal, load_state, read_journal, stream_name
from ergaster.messages import ToolCall, ToolResult
from ergaster.testing import ScriptedModel
from ergaster_memory import MemoryStorage


def call(name: str, arguments: str = "{}", identifier: str = "c1") -> ToolCall:
    return ToolCall(identifier, name, arguments)


class World:
    """A tool that acts on something, and how often it did."""

    def __init__(self) -> None:
        self.acts: list[str] = []

    def tool(self, **flags: Any) -> Any:
        @tool(**flags)
        def act(what: str = "it", mood: Literal["calm", "wild"] = "calm") -> str:
            """Act."""
            self.acts.append(f"{what}/{mood}")
            return f"did {what}"

        return act

    def agent(
        self, *, storage: Storage | None = None, policy: Policy | None = None, arguments: str = "{}", **flags: Any
    ) -> Agent:
        model = ScriptedModel(lambda request: "done" if request.messages[-1].role == "tool" else [call("act", arguments)])
        return Agent(model=model, tools=[self.tool(**flags)], storage=storage, policy=policy)


@pytest.fixture
def world() -> World:
    return World()


def told(result: RunResult) -> str:
    return next(part.content for message in result.messages for part in message.parts if isinstance(part, ToolResult))


@pytest.mark.parametrize("make_storage", [lambda: None, MemoryStorage], ids=["in process", "stored"])
async def test_a_call_that_needs_consent_runs_once_it_is_given(
    world: World, make_storage: Callable[[], Storage | None]
) -> None:
    agent = world.agent(storage=make_storage(), confirm=True, arguments='{"what": "x"}')

    paused = await agent.arun("go")
    assert ("paused", ["confirm"], []) == (paused.status, [each.kind for each in paused.pending], world.acts)
    assert '{"what": "x"}' == paused.pending[0].call.arguments
    result = await agent.aresume(paused.run_id, [paused.pending[0].approve()])

    assert ("completed", "done", ["x/calm"]) == (result.status, result.text, world.acts)


async def test_a_refused_call_does_not_run_and_the_model_reads_why(world: World) -> None:
    agent = world.agent(confirm=True)

    paused = await agent.arun("go")
    result = await agent.aresume(paused.run_id, [paused.pending[0].reject("too risky")])

    assert ([], "act was refused by a person: too risky") == (world.acts, told(result))


async def test_missing_values_come_from_a_person(world: World) -> None:
    agent = world.agent(ask_for=("what",), arguments='{"mood": "wild"}')

    paused = await agent.arun("go")
    assert "input" == paused.pending[0].kind
    assert ["what"] == (paused.pending[0].schema or {})["required"]
    await agent.aresume(paused.run_id, [paused.pending[0].answer({"what": "asked"})])

    assert ["asked/wild"] == world.acts


async def test_an_argument_with_few_values_is_a_choice(world: World) -> None:
    agent = world.agent(ask_for=("mood",))

    paused = await agent.arun("go")
    assert "choice" == paused.pending[0].kind
    await agent.aresume(paused.run_id, [paused.pending[0].answer({"mood": "wild"})])

    assert ["it/wild"] == world.acts


@pytest.mark.parametrize("value", [{"mood": "furious"}, {"what": "x"}, "wild", None])
async def test_an_answer_that_does_not_fit_runs_nothing(world: World, value: object) -> None:
    agent = world.agent(ask_for=("mood",))

    paused = await agent.arun("go")
    await agent.aresume(paused.run_id, [paused.pending[0].answer(value)])

    assert [] == world.acts


async def test_a_call_can_be_carried_out_elsewhere(world: World) -> None:
    agent = world.agent(external=True)

    paused = await agent.arun("go")
    assert "external" == paused.pending[0].kind
    result = await agent.aresume(paused.run_id, [paused.pending[0].result({"found": 3})])

    assert ('{"found": 3}'.replace(" ", ""), []) == (told(result).replace(" ", ""), world.acts)


async def test_a_third_person_approves_before_the_user_confirms(world: World) -> None:
    agent = world.agent(approval="finance", confirm=True)

    paused = await agent.arun("go")
    assert "finance" in paused.pending[0].question
    paused = await agent.aresume(paused.run_id, [paused.pending[0].approve()])
    assert "confirm" == paused.pending[0].kind
    await agent.aresume(paused.run_id, [paused.pending[0].approve()])

    assert ["it/calm"] == world.acts


@pytest.mark.parametrize(
    ("effect", "contained", "policy", "status"),
    [
        ("read", False, None, "completed"),
        ("write", True, None, "completed"),
        ("write", False, None, "paused"),
        ("exec", False, None, "paused"),
        ("money", True, None, "paused"),
        ("network", False, None, "completed"),
        ("write", True, Policy(write="ask"), "paused"),
        ("network", False, Policy(network="ask"), "paused"),
        ("exec", False, Policy(exec="allow"), "completed"),
    ],
)
async def test_the_policy_rules_on_effects(
    world: World, effect: Effect, contained: bool, policy: Policy | None, status: str
) -> None:
    agent = world.agent(effects={effect}, contained=contained, policy=policy)

    assert status == (await agent.arun("go")).status


async def test_what_the_policy_denies_is_refused_without_a_question(world: World) -> None:
    result = await world.agent(effects={"exec"}, policy=Policy(exec="deny")).arun("go")

    assert ([], "the policy denies act: exec") == (world.acts, told(result))


async def test_a_tool_may_ask_a_question_itself() -> None:
    def ask() -> str:
        """Ask."""
        raise PauseRun("Which one?")

    agent = Agent(model=ScriptedModel([[call("ask")], "done"]), tools=[ask], storage=MemoryStorage())

    paused = await agent.arun("go")
    assert ("question", "Which one?") == (paused.pending[0].kind, paused.pending[0].question)
    result = await agent.aresume(paused.run_id, [paused.pending[0].answer("the red one")])

    assert "the red one" == told(result)


async def test_a_tool_may_end_the_run_or_ask_for_another_try() -> None:
    def stop() -> str:
        """Stop."""
        raise StopRun("enough")

    def again() -> str:
        """Again."""
        raise RetryTool("give me more")

    result = await Agent(model=ScriptedModel([[call("stop")]]), tools=[stop]).arun("go")
    assert ("completed", "enough") == (result.status, result.text)
    result = await Agent(model=ScriptedModel([[call("again")], "ok"]), tools=[again]).arun("go")
    assert "call again again: give me more" == told(result)


async def test_other_calls_run_while_one_waits_for_consent(world: World) -> None:
    def free() -> str:
        """Run."""
        return "free"

    model = ScriptedModel([[call("act", identifier="c1"), call("free", identifier="c2")], "done"])
    agent = Agent(model=model, tools=[world.tool(confirm=True), free], storage=MemoryStorage())

    paused = await agent.arun("go")
    await agent.aresume(paused.run_id, [paused.pending[0].approve()])

    results = [part for part in model.requests[1].messages[-1].parts if isinstance(part, ToolResult)]
    assert [("c1", "did it"), ("c2", "free")] == [(each.call_id, each.content) for each in results]


async def test_what_stays_undecided_pauses_the_run_again(world: World) -> None:
    model = ScriptedModel([[call("act", identifier="c1"), call("act", identifier="c2")], "done"])
    agent = Agent(model=model, tools=[world.tool(confirm=True)], storage=MemoryStorage())

    paused = await agent.arun("go")
    again = await agent.aresume(paused.run_id, [paused.pending[1].approve()])
    assert ["c1:confirm"] == [each.id for each in again.pending]
    result = await agent.aresume(paused.run_id, [again.pending[0].approve()])

    assert ("completed", 2) == (result.status, len(world.acts))


async def test_a_decision_must_answer_the_question_that_was_asked(world: World) -> None:
    agent = world.agent(storage=MemoryStorage(), confirm=True)
    paused = await agent.arun("go")
    decision = paused.pending[0].approve()

    with pytest.raises(InvalidDecision, match="other arguments"):
        await agent.aresume(paused.run_id, [evolve(decision, arguments_hash="changed")])
    with pytest.raises(InvalidDecision, match="open are: 'c1:confirm'"):
        await agent.aresume(paused.run_id, [evolve(decision, pending_id="other")])
    with pytest.raises(InvalidDecision):
        paused.pending[0].answer({"what": "x"})
    assert [] == world.acts

    await agent.aresume(paused.run_id, [decision])
    with pytest.raises(RunFinished):
        await agent.aresume(paused.run_id, [decision])
    assert ["it/calm"] == world.acts


async def test_two_people_who_approve_at_once_run_it_once(world: World) -> None:
    storage = MemoryStorage()
    agents = [world.agent(storage=storage, confirm=True) for _ in range(8)]
    paused = await agents[0].arun("go")

    outcomes = await asyncio.gather(
        *(agent.aresume(paused.run_id, [paused.pending[0].approve()]) for agent in agents), return_exceptions=True
    )

    assert ["it/calm"] == world.acts
    assert 1 == sum(isinstance(each, RunResult) for each in outcomes)
    assert all(isinstance(each, RunResult | RunBusy | RunFinished | InvalidDecision) for each in outcomes)


async def test_a_question_that_lapsed_counts_as_refused(world: World) -> None:
    storage = MemoryStorage()
    agent = world.agent(storage=storage, confirm=True)
    paused = await agent.arun("go")
    state = await load_state(storage, "default", paused.run_id)
    journal = Journal(storage, "default", state)
    late = evolve(paused.pending[0], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await journal.append(ApprovalRequested(pending=late))

    result = await agent.aresume(paused.run_id)

    assert ("completed", []) == (result.status, world.acts)
    assert "in time" in told(result)


async def test_a_run_of_another_tenant_or_user_is_not_there(world: World) -> None:
    agent = world.agent(storage=MemoryStorage(), confirm=True)
    paused = await agent.arun("go", user_id="ada", tenant="one")

    with pytest.raises(UnknownRun):
        await agent.aresume(paused.run_id, [paused.pending[0].approve()], tenant="two")
    with pytest.raises(UnknownRun):
        await agent.aresume(paused.run_id, [paused.pending[0].approve()], tenant="one", user_id="bob")
    assert [] == world.acts
    assert (
        "completed" == (await agent.aresume(paused.run_id, [paused.pending[0].approve()], tenant="one", user_id="ada")).status
    )


async def test_every_object_in_memory_may_vanish_between_any_two_steps(world: World) -> None:
    """A fresh agent and a storage cut after each entry in turn: the run always reaches the same end."""
    storage = MemoryStorage()
    paused = await world.agent(storage=storage, confirm=True).arun("go", run_id="whole")
    await world.agent(storage=storage, confirm=True).aresume("whole", [paused.pending[0].approve()])
    entries = await storage.read("default", stream_name("whole"))

    for length in range(1, len(entries)):
        rest, fresh = MemoryStorage(), World()
        await rest.append("default", stream_name("whole"), [entry.data for entry in entries[:length]])
        result = await fresh.agent(storage=rest, confirm=True).aresume("whole", force=True)
        while result.status == "paused":
            decisions = [pending.approve() for pending in result.pending]
            result = await fresh.agent(storage=rest, confirm=True).aresume("whole", decisions)
        assert ("completed", "done") == (result.status, result.text), f"after entry {length}"
        kinds = [event.kind for event in await read_journal(rest, "default", "whole")]
        assert 2 == kinds.count("model_completed")
        assert 1 == kinds.count("tool_completed")


def test_a_pending_request_says_what_can_be_decided() -> None:
    pending = Pending("p", "external", call("act"))

    assert "result" == pending.result(1).verdict
    with pytest.raises(InvalidDecision, match="external"):
        pending.answer(1)
    with pytest.raises(InvalidDecision, match="confirm"):
        Pending("p", "confirm", call("act")).result(1)
