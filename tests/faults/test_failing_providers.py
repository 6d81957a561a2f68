"""A provider that limits, fails, stalls or sends rubbish: what a run does about it, and what it keeps on disk."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from ergaster import Agent, Limits, tool
from ergaster.errors import (
    AuthenticationFailed,
    BadRequest,
    ErgasterError,
    MalformedReply,
    ModelError,
    ProviderUnavailable,
    RateLimited,
)
from ergaster.events import Event
from ergaster.messages import ToolCall
from ergaster.testing.loopback import (
    Fault,
    LoopbackServer,
    Reply,
    cut_body,
    cut_stream,
    failing,
    hanging,
    html_page,
    rate_limited,
    raw_body,
    stream_error,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
QUICK = Limits(model_retries=3, retry_seconds=5)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(default=Reply(text="At last.")) as server:
        yield server


def agent_of(server: LoopbackServer, limits: Limits, timeout: float = 10.0, **options: object) -> Agent:
    model = {"use": "openai_compatible:loopback-1", "base_url": server.base_url, "timeout": timeout}
    return Agent(model=model, limits=limits, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("faults", "waited"),
    [
        ([rate_limited(0.05), rate_limited(0.05), rate_limited(0.05)], 0.15),
        ([rate_limited(NOW + timedelta(seconds=1), now=NOW)], 0.9),
        ([rate_limited(NOW - timedelta(hours=1), now=NOW)], 0.0),
        ([rate_limited(0.3), failing(500), failing(529, kind="overloaded_error")], 0.3),
    ],
    ids=["seconds", "a date", "a date that has passed", "several failures"],
)
async def test_a_storm_is_waited_out_for_as_long_as_the_provider_says(
    server: LoopbackServer, faults: list[Fault], waited: float
) -> None:
    server.say(*faults)
    agent = agent_of(server, QUICK)
    began = monotonic()

    result = await agent.arun("hello")

    assert result.text == "At last."
    assert len(server.requests) == len(faults) + 1
    assert monotonic() - began >= waited
    await agent.kernel.aclose()


async def test_an_endless_storm_ends_after_the_retries(server: LoopbackServer) -> None:
    server.default = rate_limited(0.01)
    agent = agent_of(server, QUICK)

    with pytest.raises(RateLimited) as caught:
        await agent.arun("hello")

    assert caught.value.retry_after == 0.01
    assert len(server.requests) == 4
    await agent.kernel.aclose()


async def test_a_wait_that_would_end_after_the_deadline_is_not_begun(server: LoopbackServer) -> None:
    server.default = rate_limited(3_600)
    agent = agent_of(server, Limits(model_retries=3, retry_seconds=0.5))
    began = monotonic()

    with pytest.raises(RateLimited) as caught:
        await agent.arun("hello")

    assert caught.value.retry_after == 3_600
    assert monotonic() - began < 5
    assert len(server.requests) == 1
    await agent.kernel.aclose()


async def test_all_tries_of_a_call_share_one_deadline(server: LoopbackServer) -> None:
    server.default = rate_limited(0.2)
    agent = agent_of(server, Limits(model_retries=1_000, retry_seconds=0.7))
    began = monotonic()

    with pytest.raises(RateLimited):
        await agent.arun("hello")

    assert monotonic() - began < 5
    assert 2 <= len(server.requests) <= 4
    await agent.kernel.aclose()


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_server_that_stalls_is_tried_again_within_the_deadline(server: LoopbackServer, is_streaming: bool) -> None:
    server.say(hanging())
    agent = agent_of(server, Limits(model_retries=2, retry_seconds=10), timeout=0.3)

    events = [event async for event in agent.astream("hello")] if is_streaming else []
    text = events[-1].text if events else (await agent.arun("hello")).text  # type: ignore[attr-defined]

    assert text == "At last."
    assert len(server.requests) == 2
    await agent.kernel.aclose()


async def test_the_time_of_a_stalled_try_counts_towards_the_deadline(server: LoopbackServer) -> None:
    server.default = hanging()
    agent = agent_of(server, Limits(model_retries=1_000, retry_seconds=0.5), timeout=0.4)
    began = monotonic()

    with pytest.raises(ProviderUnavailable):
        await agent.arun("hello")

    assert len(server.requests) <= 2
    assert monotonic() - began < 5
    await agent.kernel.aclose()


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationFailed), (403, AuthenticationFailed), (404, BadRequest)])
async def test_what_no_retry_can_mend_is_not_retried(server: LoopbackServer, status: int, error: type[ModelError]) -> None:
    server.say(failing(status))
    agent = agent_of(server, QUICK)

    with pytest.raises(error):
        await agent.arun("hello")

    assert len(server.requests) == 1
    await agent.kernel.aclose()


BEGINNING = "This answer will"
"""How the reply begins that the server breaks off."""

BROKEN = {
    "a malformed body": raw_body(b'{"choices": [{"index": 0, "mess'),
    "a cut body": cut_body(),
    "a web page": html_page(),
    "no choices": raw_body({"id": "x", "choices": []}),
    "an end in the middle": cut_stream(4),
    "a reset in the middle": cut_stream(4, "reset"),
    "an error event": stream_error(4),
    "silence in the middle": cut_stream(4, "hang"),
    "no JSON in an event": raw_body(b'data: {"choices": [{"del\n\n', content_type="text/event-stream"),
}


def on_disk(database: Path) -> str:
    """Return all that the database's streams hold, read past our code."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT data FROM ergaster_entries ORDER BY seq").fetchall()
    connection.close()
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("case", BROKEN)
async def test_part_of_an_answer_is_never_kept_as_an_answer(server: LoopbackServer, tmp_path: Path, case: str) -> None:
    database = tmp_path / "runs.db"
    server.say(BROKEN[case])
    agent = agent_of(server, Limits(model_retries=0), timeout=0.5, storage=f"sqlite:///{database}")

    events: list[Event] = [event async for event in agent.astream("hello", run_id="r1", session_id="s1")]

    assert events[-1].kind == "run_failed"
    assert sum(event.is_terminal for event in events) == 1
    assert isinstance(events[-1].exception, MalformedReply | ProviderUnavailable)  # type: ignore[attr-defined]
    kept = on_disk(database)
    assert "model_completed" not in kept
    assert BEGINNING not in kept
    assert '"run_failed"' in kept
    result = await agent.aresume("r1")
    assert result.text == "At last."
    assert [message.text for message in result.messages] == ["hello", "At last."]
    turns = [json.loads(line) for line in on_disk(database).splitlines() if '"run_id":"r1"' in line and '"messages"' in line]
    assert len(turns) == 1
    await agent.kernel.aclose()


async def test_what_was_shown_is_not_asked_again_behind_the_readers_back(server: LoopbackServer) -> None:
    server.say(cut_stream(4, "reset"))
    agent = agent_of(server, QUICK)

    events = [event async for event in agent.astream("hello")]

    assert events[-1].kind == "run_failed"
    assert any(event.kind == "text_delta" for event in events)
    assert len(server.requests) == 1
    await agent.kernel.aclose()


async def test_a_failure_after_a_tool_ran_does_not_run_it_again(server: LoopbackServer, tmp_path: Path) -> None:
    acts: list[str] = []

    @tool
    async def send() -> str:
        """Send."""
        acts.append("sent")
        return "sent"

    server.say(Reply(calls=(ToolCall("c1", "send"),)), failing(500), cut_body())
    limits = Limits(model_retries=1, retry_seconds=5)
    agent = agent_of(server, limits, tools=[send], storage=f"sqlite:///{tmp_path / 'runs.db'}")

    with pytest.raises(ErgasterError):
        await agent.arun("go", run_id="r1")
    result = await agent.aresume("r1")

    assert result.text == "At last."
    assert acts == ["sent"]
    assert len(server.requests) == 4
    await agent.kernel.aclose()
