"""Sessions as they are stored."""

from __future__ import annotations

from ergaster import Agent
from ergaster.sessions import SessionLog, user_sessions
from ergaster.testing import ScriptedModel
from ergaster_memory import MemoryStorage


async def test_the_sessions_of_a_user_are_found_the_last_used_first() -> None:
    storage = MemoryStorage()
    agent = Agent(model=ScriptedModel(lambda request: "ok"), storage=storage, history=False)
    for session_id, user_id, tenant in [
        ("one", "ada", "default"),
        ("two", "ada", "default"),
        ("three", "bob", "default"),
        ("four", None, "default"),
        ("five", "ada", "other"),
        ("one", "ada", "default"),
    ]:
        await agent.arun(f"in {session_id}", session_id=session_id, user_id=user_id, tenant=tenant)

    found = await user_sessions(storage, "default", "ada")
    newest = await user_sessions(storage, "default", "ada", limit=1)
    turns = await SessionLog(storage, "default", "two").turns(10)

    assert ["one", "two"] == [record.id for record in found]
    assert ["one"] == [record.id for record in newest]
    assert ["in two"] == [turn.messages[0].text for turn in turns]
