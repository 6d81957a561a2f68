"""A process killed at any event of its stream: a client goes on from the last number that it saw, and misses nothing."""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ergaster import Agent
from ergaster.codec import read_event
from ergaster.events import Event, ModelCompleted, StepRestarted, TextDelta, ToolStarted
from ergaster.messages import ToolCall
from ergaster.testing.loopback import LoopbackServer, ReceivedRequest, Reply, cut_stream

STREAMER = Path(__file__).with_name("streamer.py")
RUN = "run-1"
ANSWER = Reply(text="It is there, at the left.", piece=3)
MOMENTS = [
    *(
        "run_started",
        "model_started",
        "text_delta",
        "tool_arguments_delta",
        "model_completed",
        "tool_started",
        "tool_completed",
    ),
    *("model_started later", "text_delta later", "model_completed later", "run_completed"),
]
"""Events at which the process is killed; the later ones come after the tool's result."""


def next_reply(request: ReceivedRequest) -> Reply:
    """Say what a model would: a word and a call, then the answer."""
    if request.body["messages"][-1]["role"] == "tool":
        return ANSWER
    return Reply(text="I look.", calls=(ToolCall("c1", "look"),), piece=4)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(default=next_reply) as server:
        yield server


def stream(server: LoopbackServer, database: Path, moment: str) -> list[Event]:
    """Return what another process streams up to an event, at which it is killed."""
    kind, _, is_later = moment.partition(" ")
    command = [sys.executable, str(STREAMER), server.base_url, str(database), RUN]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    seen: list[Event] = []
    try:
        for line in process.stdout:
            seen.append(read_line(line))
            if seen[-1].kind == kind and (not is_later or any(event.kind == "tool_completed" for event in seen)):
                break
            process.stdin.write("\n")
            process.stdin.flush()
    finally:
        process.kill()
        process.communicate()
    return seen


def agent_of(server: LoopbackServer, database: Path) -> Agent:
    return runpy.run_path(str(STREAMER))["build_agent"](server.base_url, str(database))


def read_line(line: str) -> Event:
    value: dict[str, Any] = json.loads(line)
    event = read_event(json.dumps(value["event"]))
    event.seq, event.offset = value["seq"], value["offset"]
    return event


def shown(events: list[Event]) -> str:
    """Return the text that a client shows that follows the rules: deltas are dropped when it is told to."""
    deltas: list[TextDelta] = []
    for event in events:
        if isinstance(event, StepRestarted):
            deltas = [each for each in deltas if each.seq != event.dropped_seq]
        elif isinstance(event, TextDelta):
            deltas.append(event)
    places = [(each.seq, each.offset) for each in deltas]
    assert sorted(set(places)) == places
    return "".join(each.text for each in deltas)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_client_of_a_process_killed_at_any_event_misses_and_repeats_nothing(
    server: LoopbackServer, tmp_path: Path, moment: str
) -> None:
    database = tmp_path / "runs.db"
    seen = await asyncio.to_thread(stream, server, database, moment)
    await check_what_a_client_gets(server, database, seen)


@pytest.mark.parametrize("pieces", [2, 4, 7])
async def test_a_client_of_a_process_killed_in_the_middle_of_an_answer_is_told_to_drop_its_beginning(
    server: LoopbackServer, tmp_path: Path, pieces: int
) -> None:
    database = tmp_path / "runs.db"
    call = Reply(text="I look.", calls=(ToolCall("c1", "look"),))
    server.say(call, cut_stream(after=pieces, ending="hang", reply=ANSWER))
    seen = await asyncio.to_thread(stream, server, database, "text_delta later")
    assert ANSWER.text.startswith(seen[-1].text)  # type: ignore[attr-defined]
    assert seen[-1].text != ANSWER.text  # type: ignore[attr-defined]

    await check_what_a_client_gets(server, database, seen)


async def check_what_a_client_gets(server: LoopbackServer, database: Path, seen: list[Event]) -> None:
    """Resume the run here, and follow it as a client does that has seen so much."""
    agent = agent_of(server, database)
    written = [event async for event in unfinished(agent.afollow(RUN), agent)]
    last_seen = max(event.seq for event in seen if event.is_durable)
    replay = asyncio.create_task(collect(agent.afollow(RUN, after=last_seen)))
    resumed: list[Event] = []
    if written[-1].kind != "run_completed":
        resumed = [event async for event in agent.aresume_stream(RUN, force=True)]

    replayed = await replay
    journal = await collect(agent.afollow(RUN))
    assert [*durable(seen), *replayed] == journal
    assert [event.seq for event in journal] == list(range(1, len(journal) + 1))
    assert [*written, *durable(resumed)] == journal
    assert journal[-1].text == "It is there, at the left."  # type: ignore[attr-defined]
    missed = [each for each in written if each.seq > last_seen]
    check_text([*seen, *missed, *resumed])
    check_announcement(written, resumed)
    await agent.kernel.aclose()


async def collect(events: Any) -> list[Event]:
    return [pathless(event) async for event in events]


async def unfinished(events: Any, agent: Any) -> Any:
    """Yield the entries that there are, without waiting for more."""
    storage = (await agent.plan()).storage
    last = await storage.last_seq("default", f"run:{RUN}")
    async for event in events:
        yield pathless(event)
        if event.seq == last:
            return


def durable(events: list[Event]) -> list[Event]:
    return [pathless(event) for event in events if event.is_durable]


def pathless(event: Event) -> Event:
    event.path = ()
    return event


def check_text(events: list[Event]) -> None:
    """What a client shows piece by piece holds nothing twice, and the end of what is said after the kill."""
    texts = [event.message.text for event in events if isinstance(event, ModelCompleted)]
    assert texts == ["I look.", ANSWER.text]
    assert shown(events) in {"".join(texts), *texts, ""}


def check_announcement(written: list[Event], resumed: list[Event]) -> None:
    """A model call that is done again is announced, before its pieces; a tool call says its attempt."""
    restarts = [event for event in resumed if isinstance(event, StepRestarted)]
    if written[-1].kind in {"run_started", "tool_completed"}:
        assert [event.dropped_seq for event in restarts] == [written[-1].seq]
        assert [event.kind for event in resumed][:3] == ["run_resumed", "step_restarted", "model_started"]
    else:
        assert restarts == []
    if written[-1].kind == "tool_started":
        assert [event.attempt for event in resumed if isinstance(event, ToolStarted)] == [2]
