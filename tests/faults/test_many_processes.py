"""Several real processes on one database: one owner for each run, and nothing lost of what they share."""

from __future__ import annotations

import asyncio
import json
import runpy
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen

from ergaster import Agent
from ergaster.contracts.storage import Storage
from ergaster.errors import RunBusy
from ergaster.journal import read_journal
from ergaster.sessions import RUNS, SESSIONS

CROWD = Path(__file__).with_name("crowd.py")


@frozen
class Worker:
    """A process of the crowd."""

    process: subprocess.Popen[str]

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def hear(self) -> object:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def start(database: Path) -> Iterator[Callable[..., list[Worker]]]:
    """Give a function that starts processes and returns them once they are ready."""
    started: list[Worker] = []

    def begin(*names: str) -> list[Worker]:
        fresh = [
            Worker(
                subprocess.Popen(
                    [sys.executable, str(CROWD), str(database), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for name in names
        ]
        started.extend(fresh)
        assert {worker.hear() for worker in fresh} == {"ready"}
        return fresh

    yield begin
    for worker in started:
        worker.process.kill()
        worker.process.communicate()


def own_agent(database: Path) -> Agent:
    return runpy.run_path(str(CROWD))["build_agent"](str(database), "here", is_patient=False)


async def storage_of(agent: Agent) -> Storage:
    storage = (await agent.plan()).storage
    assert storage is not None
    return storage


def acts(database: Path) -> list[str]:
    file = database.with_name("effects")
    return file.read_text().splitlines() if file.exists() else []


async def test_two_processes_that_approve_at_once_run_the_call_once(database: Path, start: Callable[..., list[Worker]]) -> None:
    agent = own_agent(database)
    runs = [f"run-{number}" for number in range(12)]
    for run in runs:
        assert (await agent.arun("pay", run_id=run)).status == "paused"
    one, other = start("one", "other")
    for run in runs:
        one.tell(f"approve {run}")
        other.tell(f"approve {run}")
        outcomes = {str(one.hear()), str(other.hear())}
        assert "completed" in outcomes
        assert outcomes - {"completed"} < {"InvalidDecision", "RunBusy", "RunFinished"}
        assert len(outcomes) == 2

    assert Counter(acts(database)) == Counter(f"pay {run}:c1" for run in runs)
    storage = await storage_of(agent)
    for run in runs:
        kinds = Counter(event.kind for event in await read_journal(storage, "default", run))
        assert (kinds["approval_decided"], kinds["tool_completed"], kinds["run_completed"]) == (1, 1, 1)
    await agent.kernel.aclose()


@pytest.mark.parametrize(("processes", "runs"), [(2, 15), (8, 3)])
async def test_processes_in_one_session_lose_no_turn_and_no_key(
    database: Path, start: Callable[..., list[Worker]], processes: int, runs: int
) -> None:
    names = [f"p{number}" for number in range(processes)]
    workers = start(*names)
    for _ in range(runs):
        for worker in workers:
            worker.tell("talk shared")
    for worker in workers:
        assert [worker.hear() for _ in range(runs)] == ["completed"] * runs

    wanted = {f"{name}-{number}" for name in names for number in range(1, runs + 1)}
    agent = own_agent(database)
    storage = await storage_of(agent)
    session = await storage.get(SESSIONS, "default", "shared")
    assert session is not None
    order = [json.loads(entry.data)["run_id"] for entry in await storage.read("default", "session:shared")]
    assert set(session.value["state"]) == wanted
    assert session.value["turns"] == len(wanted)
    assert Counter(order) == Counter(wanted)
    for name in names:  # the order of turns is that in which the runs ended
        assert [run for run in order if run.startswith(f"{name}-")] == [f"{name}-{number}" for number in range(1, runs + 1)]
    await agent.kernel.aclose()


async def let_lease_lapse(agent: Agent, run: str) -> None:
    """Write the run's record as it stands once its owner has not renewed the lease in time."""
    storage = await storage_of(agent)
    record = await storage.get(RUNS, "default", run)
    assert record is not None
    await storage.put(RUNS, "default", run, {**record.value, "lease_until": "2026-01-01T00:00:00+00:00"})


async def test_a_run_of_a_dead_process_is_taken_once_its_lease_has_lapsed(
    database: Path, start: Callable[..., list[Worker]]
) -> None:
    (owner,) = start("owner")
    owner.tell("hold run-1")
    assert await asyncio.to_thread(owner.hear) == "holding"
    agent = await own_agent(database).aopen()
    owner.process.kill()
    owner.process.wait()

    with pytest.raises(RunBusy, match=str(owner.process.pid)):
        await agent.aresume("run-1")
    await let_lease_lapse(agent, "run-1")
    result = await agent.aresume("run-1")

    assert result.text == "Done."
    assert acts(database) == ["hold here"]
    await agent.kernel.aclose()


async def test_a_frozen_process_that_wakes_after_a_takeover_writes_nothing_more(
    database: Path, start: Callable[..., list[Worker]]
) -> None:
    (owner,) = start("owner")
    owner.tell("hold run-1")
    assert await asyncio.to_thread(owner.hear) == "holding"
    owner.process.send_signal(signal.SIGSTOP)
    agent = own_agent(database)
    await let_lease_lapse(agent, "run-1")
    result = await agent.aresume("run-1")
    assert result.text == "Done."
    storage = await storage_of(agent)
    journal = await read_journal(storage, "default", "run-1")
    record = await storage.get(RUNS, "default", "run-1")

    owner.process.send_signal(signal.SIGCONT)
    owner.tell("")

    assert await asyncio.to_thread(owner.hear) == "Done."  # its caller hears how the run ended, elsewhere
    assert await read_journal(storage, "default", "run-1") == journal
    assert sum(event.is_terminal for event in journal) == 1
    held = [event.result.content for event in journal if event.kind == "tool_completed"]  # type: ignore[attr-defined]
    assert held == ["held by here"]
    now = await storage.get(RUNS, "default", "run-1")
    assert now is not None
    assert record is not None
    assert (now.value["status"], now.value["epoch"], now.value["lease_until"]) == ("completed", 2, None)
    await agent.kernel.aclose()


async def test_a_frozen_process_that_wakes_while_another_works_on_is_fenced_off(
    database: Path, start: Callable[..., list[Worker]]
) -> None:
    frozen, owner = start("frozen", "owner")
    frozen.tell("hold run-1")
    assert await asyncio.to_thread(frozen.hear) == "holding"
    frozen.process.send_signal(signal.SIGSTOP)
    agent = own_agent(database)
    await let_lease_lapse(agent, "run-1")
    owner.tell("resume run-1")
    assert await asyncio.to_thread(owner.hear) == "holding"
    storage = await storage_of(agent)
    journal = await read_journal(storage, "default", "run-1")

    frozen.process.send_signal(signal.SIGCONT)
    frozen.tell("")
    assert await asyncio.to_thread(frozen.hear) == "RunFenced"
    assert await read_journal(storage, "default", "run-1") == journal
    owner.tell("")
    assert await asyncio.to_thread(owner.hear) == "Done."

    journal = await read_journal(storage, "default", "run-1")
    held = [event.result.content for event in journal if event.kind == "tool_completed"]  # type: ignore[attr-defined]
    assert held == ["held by owner"]
    assert sum(event.is_terminal for event in journal) == 1
    await agent.kernel.aclose()


async def test_of_two_processes_that_resume_at_once_one_works_and_the_other_hears_that_it_is_busy(
    database: Path, start: Callable[..., list[Worker]]
) -> None:
    agent = own_agent(database)
    runs = [f"run-{number}" for number in range(10)]
    for run in runs:
        stream = agent.astream("hold", run_id=run)
        async for event in stream:
            if event.kind == "tool_started":
                break
        await stream.aclose()  # type: ignore[attr-defined]
    workers = start("one", "other")
    for run in runs:
        for worker in workers:
            worker.tell(f"resume {run}")
        heard = {str(await asyncio.to_thread(worker.hear)): worker for worker in workers}
        assert set(heard) == {"holding", "RunBusy"}
        heard["holding"].tell("")
        assert await asyncio.to_thread(heard["holding"].hear) == "Done."

    storage = await storage_of(agent)
    for run in runs:
        kinds = Counter(event.kind for event in await read_journal(storage, "default", run))
        assert (kinds["run_resumed"], kinds["tool_completed"], kinds["run_completed"]) == (1, 1, 1)
    await agent.kernel.aclose()
