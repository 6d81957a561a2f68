"""A disk that is full, a folder that is read-only, a file that is no database, a lock that is held: seen from a run."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ergaster import Agent, tool
from ergaster.errors import StorageCorrupt, StorageError, StorageFull, StorageUnavailable
from ergaster.events import Event
from ergaster.messages import ToolCall
from ergaster.testing import ScriptedModel


def mount(folder: Path, options: str) -> None:
    """Mount a file system of its own on a new folder, or skip."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        if os.environ.get("ERGASTER_REQUIRE_SERVICES") == "1" and os.getuid() == 0:
            pytest.fail("root could not mount a tmpfs")
        pytest.skip("mounting a file system needs more rights")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    mount(tmp_path / "tiny", "size=1m")
    yield tmp_path / "tiny"
    unmount(tmp_path / "tiny")


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    mount(tmp_path / "fixed", "ro")
    yield tmp_path / "fixed"
    unmount(tmp_path / "fixed")


async def stream(agent: Agent, run_id: str) -> list[Event]:
    return [event async for event in agent.astream("go", run_id=run_id, session_id="s1")]


def check_one_end(events: list[Event], error: type[StorageError], *words: str) -> None:
    """The stream ended once, with an error that a person understands."""
    assert [event.kind for event in events if event.is_terminal] == ["run_failed"]
    found = events[-1].exception  # type: ignore[attr-defined]
    assert isinstance(found, error)
    for word in words:
        assert word in str(found)


async def check_history(agent: Agent, database: Path, runs: list[str]) -> None:
    """Every run is whole, has ended once, and the file is sound."""
    for run in runs:
        events = [event async for event in agent.afollow(run)]
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert sum(event.kind == "run_completed" for event in events) == 1
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


async def test_a_disk_that_fills_up_in_a_run_fails_it_once_and_it_goes_on_when_there_is_room(tiny_disk: Path) -> None:
    database, ballast = tiny_disk / "runs.db", tiny_disk / "ballast"
    replies = ["First.", [ToolCall("c1", "fill")], "Last.", "Last."]

    @tool
    async def fill() -> str:
        """Fill the disk."""
        with ballast.open("wb") as file:
            try:
                while True:
                    file.write(b"x" * 4096)
                    file.flush()
            except OSError:
                pass
        return "y" * 15_000

    agent = Agent(model=ScriptedModel(replies), tools=[fill], storage=f"sqlite:///{database}")
    assert (await agent.arun("before", run_id="r0")).text == "First."

    check_one_end(await stream(agent, "r1"), StorageFull, "space")
    ballast.unlink()
    result = await agent.aresume("r1", [], force=True)
    if result.status == "paused":  # the tool acted; its result could not be kept
        result = await agent.aresume("r1", [each.result("y") for each in result.pending])

    assert result.text == "Last."
    await check_history(agent, database, ["r0", "r1"])
    await agent.kernel.aclose()


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


async def test_a_lock_that_is_held_too_long_fails_the_run_once_and_it_goes_on_when_it_is_free(tmp_path: Path) -> None:
    database = tmp_path / "runs.db"
    holders: list[subprocess.Popen[str]] = []

    @tool
    async def lock() -> str:
        """Let another process hold the write lock."""
        command = [sys.executable, "-c", HOLDER, str(database)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return "locked"

    storage = {"use": f"sqlite:///{database}", "busy_timeout": 0.2}
    agent = Agent(model=ScriptedModel(["First.", [ToolCall("c1", "lock")], "Last."]), tools=[lock], storage=storage)
    assert (await agent.arun("before", run_id="r0")).text == "First."

    events = await stream(agent, "r1")
    holders[0].communicate("\n", timeout=30)

    check_one_end(events, StorageUnavailable, "busy_timeout")
    paused = await agent.aresume("r1", force=True)
    assert [each.kind for each in paused.pending] == ["unfinished"]
    result = await agent.aresume("r1", [each.result("locked") for each in paused.pending])
    assert result.text == "Last."
    assert len(holders) == 1
    await check_history(agent, database, ["r0", "r1"])
    await agent.kernel.aclose()


@pytest.mark.parametrize(
    "content", [b"These are my notes.\n" * 500, b"\x7fELF" + bytes(4096), b"SQLite format 3\0" + b"\xff" * 8192]
)
async def test_a_file_that_is_no_database_is_refused_before_the_model_is_asked(tmp_path: Path, content: bytes) -> None:
    database = tmp_path / "runs.db"
    database.write_bytes(content)
    model = ScriptedModel(["never"])
    agent = Agent(model=model, storage=f"sqlite:///{database}")

    with pytest.raises(StorageCorrupt, match=r"runs\.db"):
        await agent.arun("go")
    with pytest.raises(StorageCorrupt):
        await stream(agent, "r1")

    assert model.requests == []
    assert database.read_bytes() == content
    await agent.kernel.aclose()


async def test_a_folder_that_cannot_be_written_is_named_before_the_model_is_asked(read_only_disk: Path) -> None:
    model = ScriptedModel(["never"])
    agent = Agent(model=model, storage=f"sqlite:///{read_only_disk / 'runs.db'}")

    with pytest.raises(StorageUnavailable, match="fixed"):
        await agent.arun("go")

    assert model.requests == []
    await agent.kernel.aclose()
