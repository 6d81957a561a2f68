"""Cancelling: from anywhere, at any moment, with nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from ergaster import Agent, Limits
from ergaster.codec import write_event
from ergaster.contracts.model import Delta, ModelRequest, ModelResponse
from ergaster.contracts.storage import Storage
from ergaster.errors import LimitReached, RunFenced, RunFinished
from ergaster.events import RunCancelled, RunResumed
from ergaster.journal import cancel_run, read_journal, stream_name
from ergaster.messages import ToolCall, ToolResult
from ergaster.run import Interrupt, Interrupted
from ergaster.testing import ScriptedModel
from ergaster_memory import MemoryStorage


class SlowModel(ScriptedModel):
    """Says that it was asked, then waits until it is cancelled."""

    def __init__(self) -> None:
        super().__init__(["never"])
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()

    async def generate(self, request: ModelRequest) -> ModelResponse:
        return [item async for item in self.stream(request)][-1]  # type: ignore[return-value]

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        yield Delta("text", "so far")
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.closed.set()


@pytest.mark.parametrize("storage", [None, MemoryStorage()], ids=["in process", "stored"])
@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_model_call_is_broken_off(storage: Storage | None, is_streaming: bool) -> None:
    model = SlowModel()
    agent = Agent(model=model, storage=storage)
    run_id = f"run-{is_streaming}"

    async def work() -> str:
        if is_streaming:
            return [event.kind async for event in agent.astream("go", run_id=run_id)][-1]
        return f"run_{(await agent.arun('go', run_id=run_id)).status}"

    running = asyncio.create_task(work())
    await model.asked.wait()

    assert await agent.acancel(run_id, "enough")
    assert "run_cancelled" == await running
    await model.closed.wait()
    assert not await agent.acancel(run_id) or storage is None


async def test_a_run_can_be_cancelled_before_it_starts() -> None:
    model = ScriptedModel(["never"])
    agent = Agent(model=model, storage=MemoryStorage())

    assert await agent.acancel("r1")
    events = [event async for event in agent.astream("go", run_id="r1")]

    assert ["run_cancelled"] == [event.kind for event in events]
    assert [] == model.requests
    with pytest.raises(RunFinished):
        await agent.aresume("r1")


async def test_another_process_cancels_through_the_storage() -> None:
    storage, model = MemoryStorage(), SlowModel()
    running = asyncio.create_task(Agent(model=model, storage=storage).arun("go", run_id="r1"))
    await model.asked.wait()

    await cancel_run(storage, "default", "r1")  # nothing in this process is told

    assert "cancelled" == (await running).status


async def test_no_step_starts_after_a_cancel_was_acknowledged() -> None:
    storage = MemoryStorage()
    started: list[str] = []

    async def first() -> str:
        """Cancel the run from elsewhere while this call is at work."""
        await cancel_run(storage, "default", "r1")
        return "first"

    def second() -> str:
        """Never run."""
        started.append("second")
        return "second"

    model = ScriptedModel([[ToolCall("c1", "first")], [ToolCall("c2", "second")], "never"])

    result = await Agent(model=model, tools=[first, second], storage=storage).arun("go", run_id="r1")

    assert ("cancelled", [], 1) == (result.status, started, len(model.requests))
    entries = [event.kind for event in await read_journal(storage, "default", "r1")]
    assert "run_cancelled" == entries[-1]


async def test_open_calls_are_closed_so_that_the_conversation_stays_valid() -> None:
    began = asyncio.Event()

    async def wait() -> None:
        """Wait."""
        began.set()
        await asyncio.Event().wait()

    agent = Agent(model=ScriptedModel([[ToolCall("c1", "wait"), ToolCall("c2", "wait")]]), tools=[wait])
    running = asyncio.create_task(agent.arun("go", run_id="r1"))
    await began.wait()
    await agent.acancel("r1")

    results = (await running).messages[-1].parts

    assert ["c1", "c2"] == [part.call_id for part in results if isinstance(part, ToolResult)]


async def test_a_process_whose_run_was_taken_over_stops_and_writes_nothing_more() -> None:
    storage = MemoryStorage()

    async def taken() -> str:
        """Let another process take the run over."""
        seq = await storage.last_seq("default", stream_name("r1"))
        line = write_event(RunResumed(epoch=2, owner="another"))
        await storage.append("default", stream_name("r1"), [line], expected_seq=seq)
        return "late"

    agent = Agent(model=ScriptedModel([[ToolCall("c1", "taken")], "never"]), tools=[taken], storage=storage)

    with pytest.raises(RunFenced, match="another"):
        await agent.arun("go", run_id="r1")
    assert "run_resumed" == (await read_journal(storage, "default", "r1"))[-1].kind


async def test_wall_time_is_a_hard_limit() -> None:
    with pytest.raises(LimitReached) as caught:
        await Agent(model=SlowModel(), limits=Limits(seconds=0.05)).arun("go")
    assert "seconds" == caught.value.limit


async def test_a_caller_that_goes_away_leaves_a_run_that_can_be_resumed() -> None:
    storage, model = MemoryStorage(), SlowModel()
    agent = Agent(model=model, storage=storage)
    running = asyncio.create_task(agent.arun("go", run_id="r1"))
    await model.asked.wait()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert model.closed.is_set()

    result = await agent.aresume("r1", model=ScriptedModel(["at last"]))
    assert "at last" == result.text


async def test_a_reader_that_leaves_a_stream_leaves_a_run_that_can_be_resumed() -> None:
    agent = Agent(model=ScriptedModel(["a long answer", "a long answer"]), storage=MemoryStorage())

    stream = agent.astream("go", run_id="r1")
    async for event in stream:
        if event.kind == "text_delta":
            break
    await stream.aclose()  # type: ignore[attr-defined]

    assert "a long answer" == (await agent.aresume("r1")).text


class CountingStorage(MemoryStorage):
    """Lets a test act at the n-th await of a run: each write and each read is one."""

    async def append(self, tenant: str, stream: str, data: Sequence[str], **bounds: Any) -> int:
        await asyncio.sleep(0)
        return await super().append(tenant, stream, data, **bounds)


async def run_with_cancel_after(turns: int) -> tuple[str, bool]:
    """Start a run with a model call, two parallel tools and an answer, and cancel it after so many turns of the loop."""
    storage = CountingStorage()

    async def work() -> str:
        """Work."""
        for _ in range(3):
            await asyncio.sleep(0)
        return "worked"

    model = ScriptedModel([[ToolCall("c1", "work"), ToolCall("c2", "work")], "done"])
    agent = Agent(model=model, tools=[work], storage=storage)
    await agent.aopen()
    running = asyncio.create_task(agent.arun("go", run_id="r1"))
    before = asyncio.all_tasks()
    for _ in range(turns):
        await asyncio.sleep(0)
    was_open = await agent.acancel("r1")
    result = await running
    assert asyncio.all_tasks() <= before
    entries = await read_journal(storage, "default", "r1")
    assert 1 == sum(event.is_terminal for event in entries)
    open_calls = {call.id for message in result.messages for call in message.tool_calls}
    closed = {part.call_id for message in result.messages for part in message.parts if isinstance(part, ToolResult)}
    assert open_calls == closed
    return result.status, was_open


async def test_a_cancel_at_any_await_ends_the_run_once_and_leaves_no_task() -> None:
    ends = [await run_with_cancel_after(turns) for turns in range(60)]

    assert {("cancelled", True), ("completed", False)} == set(ends)
    first = ends.index(("completed", False))
    assert ["completed"] * (60 - first) == [status for status, _ in ends[first:]]


async def test_an_interrupt_that_comes_too_late_does_not_hit_the_reader() -> None:
    interrupt = Interrupt()

    async def quick() -> str:
        interrupt.fire()
        return "value"

    assert "value" == await interrupt.guard(quick())
    await asyncio.sleep(0)
    with pytest.raises(Interrupted):
        await interrupt.guard(asyncio.sleep(0))


async def test_a_cancelled_event_carries_its_reason() -> None:
    storage = MemoryStorage()
    await cancel_run(storage, "default", "r1", "no longer wanted")

    (event,) = await read_journal(storage, "default", "r1")

    assert isinstance(event, RunCancelled)
    assert "no longer wanted" == event.reason
