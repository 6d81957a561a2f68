"""Reading a run from the storage: from any number on, from any process, up to where it stands."""

from __future__ import annotations

import asyncio

import pytest

from ergaster import Agent, ToolContext, tool
from ergaster.contracts.storage import Storage
from ergaster.errors import InvalidInput, UnknownRun, Unsupported
from ergaster.events import Event, StepRestarted
from ergaster.journal import read_journal
from ergaster.messages import ToolCall
from ergaster.testing import ScriptedModel
from ergaster_memory import MemoryStorage


def two_steps(storage: Storage, *, is_patient: bool = False) -> Agent:
    """An agent that asks before its one tool runs, and then answers."""

    @tool(confirm=is_patient, idempotent=True)
    async def look(context: ToolContext) -> str:
        """Look."""
        return "seen"

    def reply(request: object) -> object:
        messages = request.messages  # type: ignore[attr-defined]
        return "It is done." if messages[-1].role == "tool" else [ToolCall("c1", "look")]

    return Agent(model=ScriptedModel(reply), tools=[look], storage=storage, name="looker")  # type: ignore[arg-type]


async def follow(agent: Agent, after: int = 0) -> list[Event]:
    return [event async for event in agent.afollow("r1", after=after)]


async def test_a_finished_run_is_replayed_from_any_number_on() -> None:
    storage = MemoryStorage()
    agent = two_steps(storage)
    streamed = [event async for event in agent.astream("go", run_id="r1") if event.is_durable]

    assert streamed == await follow(agent)
    for after in range(len(streamed) + 1):
        assert streamed[after:] == await follow(agent, after)


async def test_a_reader_sees_what_is_written_until_the_run_stands() -> None:
    storage = MemoryStorage()
    agent = two_steps(storage, is_patient=True)
    paused = await agent.arun("go", run_id="r1")
    before = await follow(two_steps(storage, is_patient=True))
    assert "run_paused" == before[-1].kind
    assert [] == await follow(agent, before[-1].seq)

    reader = asyncio.create_task(follow(agent, before[-1].seq - 1))
    await agent.aresume("r1", [each.approve() for each in paused.pending])
    behind = await reader

    # The reader may have ended with the pause, where the run stood when it looked, or gone on to the end.
    behind += await follow(agent, behind[-1].seq)
    assert list(range(1, behind[-1].seq + 1)) == [event.seq for event in [*before[:-1], *behind]]
    assert "run_completed" == behind[-1].kind


async def test_a_reader_who_comes_first_sees_the_run_to_its_end() -> None:
    storage = MemoryStorage()
    began, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        """Work."""
        began.set()
        await go_on.wait()
        return "worked"

    agent = Agent(model=ScriptedModel([[ToolCall("c1", "work")], "done"]), tools=[work], storage=storage)
    running = asyncio.create_task(agent.arun("go", run_id="r1"))
    await began.wait()
    stream = agent.afollow("r1")
    first = [await anext(stream) for _ in range(3)]
    go_on.set()
    rest = [event async for event in stream]

    await running
    assert await read_journal(storage, "default", "r1") == [plain(event) for event in [*first, *rest]]


def plain(event: Event) -> Event:
    event.path = ()
    return event


async def test_a_run_of_another_tenant_is_not_there() -> None:
    agent = two_steps(MemoryStorage())
    await agent.arun("go", run_id="r1", tenant="one")

    with pytest.raises(UnknownRun):
        await follow(agent)


@pytest.mark.parametrize("after", [-1, 8, 10**12])
async def test_a_number_that_the_run_has_not_reached_is_refused(after: int) -> None:
    agent = two_steps(MemoryStorage())
    await agent.arun("go", run_id="r1")

    with pytest.raises(InvalidInput, match="1 to 6"):
        await follow(agent, after)


async def test_without_a_storage_there_is_nothing_to_follow() -> None:
    with pytest.raises(Unsupported, match="storage="):
        await follow(Agent(model=ScriptedModel(["ok"])))


async def test_a_reader_who_leaves_leaves_no_task_and_no_watch() -> None:
    storage = MemoryStorage()
    agent = two_steps(storage, is_patient=True)
    await agent.arun("go", run_id="r1")
    tasks = asyncio.all_tasks()

    stream = agent.afollow("r1")
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]

    assert tasks == asyncio.all_tasks()


def test_the_synchronous_twin_gives_the_same() -> None:
    agent = two_steps(MemoryStorage())
    agent.run("go", run_id="r1")

    assert list(range(1, 7)) == [event.seq for event in agent.follow("r1")]


async def test_a_model_call_that_is_done_again_is_announced_before_its_pieces() -> None:
    storage = MemoryStorage()
    agent = Agent(model=ScriptedModel(["a long answer", "another answer"]), storage=storage)
    stream = agent.astream("go", run_id="r1")
    seen = [await anext(stream) for _ in range(4)]
    await stream.aclose()  # type: ignore[attr-defined]
    assert "text_delta" == seen[-1].kind

    again = [event async for event in agent.aresume_stream("r1")]

    kinds = [event.kind for event in again]
    assert ["run_resumed", "step_restarted", "model_started", "text_delta"] == kinds[:4]
    (restarted,) = (event for event in again if isinstance(event, StepRestarted))
    assert {seen[-1].seq} == {restarted.dropped_seq}
    assert restarted.dropped_seq not in {event.seq for event in again if event.kind == "text_delta"}


async def test_nothing_is_announced_where_nothing_was_interrupted() -> None:
    storage = MemoryStorage()
    agent = two_steps(storage, is_patient=True)
    paused = await agent.arun("go", run_id="r1")

    again = [event async for event in agent.aresume_stream("r1", [each.approve() for each in paused.pending])]

    assert "run_completed" == again[-1].kind
    assert "step_restarted" not in {event.kind for event in again}


async def test_a_tool_call_that_is_done_again_tells_its_attempt_instead() -> None:
    storage = MemoryStorage()
    agent = two_steps(storage)
    stream = agent.astream("go", run_id="r1")
    async for event in stream:
        if event.kind == "tool_started":
            break
    await stream.aclose()  # type: ignore[attr-defined]

    again = [event async for event in agent.aresume_stream("r1")]

    (started,) = (event for event in again if event.kind == "tool_started")
    assert 2 == started.attempt  # type: ignore[attr-defined]
    assert "step_restarted" not in {event.kind for event in again}
    assert "run_completed" == again[-1].kind
