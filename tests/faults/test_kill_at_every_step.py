"""A process killed at any write of a run: what was finished stays finished, and nothing acts twice unasked."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from ergaster.messages import ToolCall
from ergaster.testing.loopback import LoopbackServer, ReceivedRequest, Reply

WORKER = Path(__file__).with_name("worker.py")
RUN = "run-1"


def next_reply(request: ReceivedRequest) -> Reply:
    """Say what a model would: eight calls at once, then one that asks, then the answer."""
    turns = sum(message["role"] == "assistant" for message in request.body["messages"])
    if turns == 0:
        names = ["look", "look", "send", "look", "look", "look", "look", "look"]
        return Reply(calls=tuple(ToolCall(f"c{index}", name) for index, name in enumerate(names)))
    if turns == 1:
        return Reply(calls=(ToolCall("p1", "pay"),))
    return Reply(text="All is done.")


@frozen
class World:
    """A model server, a database, and a file with what the tools did."""

    server: LoopbackServer
    folder: Path

    def work(self, mode: str, kill_at: str = "never") -> tuple[int, str]:
        """Run a worker process to its end, or its death, and return its exit code and output."""
        command = [sys.executable, str(WORKER), mode, self.server.base_url, self.database, str(self.effects), RUN, kill_at]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode, done.stdout.strip()

    @property
    def database(self) -> str:
        return str(self.folder / "runs.db")

    @property
    def effects(self) -> Path:
        return self.folder / "effects"

    def acts(self) -> Counter[str]:
        """How often each act was done, by tool and idempotency key."""
        return Counter(self.effects.read_text().splitlines()) if self.effects.exists() else Counter()

    def journal(self) -> list[dict[str, Any]]:
        """Read the run's entries from the file, past all our code, and check the file."""
        if not Path(self.database).exists():
            return []
        with sqlite3.connect(self.database) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            rows = connection.execute(
                "SELECT data FROM ergaster_entries AS e JOIN ergaster_streams AS s ON s.id = e.stream "
                "WHERE s.name = ? ORDER BY e.seq",
                (f"run:{RUN}",),
            )
            return [json.loads(row[0]) for row in rows]

    def kinds(self) -> Counter[str]:
        """How many entries of each kind the journal has."""
        return Counter(entry["kind"] for entry in self.journal())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with LoopbackServer(default=next_reply) as server:
        yield World(server, tmp_path)


STARTED, APPROVED = 13, 7
"""Writes of a run up to its pause, and of its continuation: the claim, the pause again, the decision, and so on."""


def both_sides(writes: int) -> list[str]:
    return [f"{side}:{number}" for number in range(1, writes + 1) for side in ("before", "after")]


def check_invariants(world: World, calls_paid: int, calls_asked: int) -> None:
    """What must hold once a run that was killed has come to its end."""
    assert calls_paid + len(world.server.requests) - calls_asked == 3  # a finished model call is never asked again
    acts = world.acts()
    keys = {act.split()[1] for act in acts}
    assert keys == {f"{RUN}:c{number}" for number in range(8)} | {f"{RUN}:p1"}  # the same key on every try
    kinds = world.kinds()
    assert kinds["run_completed"] == 1
    assert kinds["run_started"] == 1
    results = Counter(
        entry["result"]["call_id"] for entry in world.journal() if entry["kind"] in ("tool_completed", "tool_failed")
    )
    assert set(results.values()) == {1}
    assert len(results) == 9


def test_the_lists_below_cover_every_write(world: World) -> None:
    _, started = world.work("start")
    _, approved = world.work("approve")

    assert started == f"paused {STARTED} ['confirm']"
    assert approved == f"completed {APPROVED} [] All is done."
    check_invariants(world, calls_paid=0, calls_asked=0)
    assert set(world.acts().values()) == {1}


@pytest.mark.parametrize("kill_at", both_sides(STARTED))
def test_a_run_killed_before_its_pause_goes_on_from_the_last_finished_step(world: World, kill_at: str) -> None:
    code, _ = world.work("start", kill_at)
    assert code == -signal.SIGKILL
    paid, asked = world.kinds()["model_completed"], len(world.server.requests)
    was_finished = {e["result"]["call_id"] for e in world.journal() if e["kind"] == "tool_completed"}
    if not world.journal():  # the input was not acknowledged: the caller sends it again
        world.work("start")
    before = world.acts()

    _, pending = world.work("resume")
    if "unfinished" in pending:  # it may have been sent: nobody sends it again without a word
        assert world.acts()[f"send {RUN}:c2"] == before[f"send {RUN}:c2"]
    _, output = world.work("approve")

    assert output.endswith("All is done.")
    check_invariants(world, paid, asked)
    for call_id in was_finished:  # what had finished was not done again
        assert sum(count for act, count in world.acts().items() if act.endswith(f":{call_id}")) == 1


@pytest.mark.parametrize("kill_at", both_sides(APPROVED))
def test_a_run_killed_after_its_pause_keeps_the_decision(world: World, kill_at: str) -> None:
    world.work("start")
    code, _ = world.work("approve", kill_at)
    assert code == -signal.SIGKILL
    paid, asked = world.kinds()["model_completed"], len(world.server.requests)
    decided = world.kinds()["approval_decided"]

    if world.kinds()["run_completed"]:
        assert kill_at == f"after:{APPROVED}"
    else:
        _, output = world.work("approve")
        assert output.endswith("All is done.")

    check_invariants(world, paid, asked)
    asked_again = [e for e in world.journal() if e["kind"] == "approval_requested" and e["pending"]["kind"] == "confirm"]
    assert len(asked_again) == 1
    assert decided <= sum(e["kind"] == "approval_decided" for e in world.journal())
