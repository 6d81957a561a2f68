"""What is found in earlier sessions, and whose."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ergaster import Agent, Message
from ergaster.contracts.context import Turn
from ergaster.messages import ToolCall, ToolResult
from ergaster.sessions import SESSIONS, SessionLog
from ergaster.testing import FeatureContract, ScriptedModel
from ergaster_memory import MemoryStorage
from ergaster_sessions import SessionSearch


class TestContract(FeatureContract):
    ref = "session_search"


async def remember(storage: MemoryStorage, said: str, **who: Any) -> None:
    await Agent(model=ScriptedModel(["Noted."]), storage=storage, history=False).arun(said, **who)


async def search(storage: MemoryStorage | None, query: str, *, options: Any = True, limit: int = 5, **who: Any) -> ToolResult:
    call = ToolCall("c", "search_past_sessions", json.dumps({"query": query, "limit": limit}))
    model = ScriptedModel([[call], "ok"])
    await Agent(model=model, storage=storage, history=False, session_search=options).arun("?", **who)
    return next(part for message in model.requests[-1].messages for part in message.parts if isinstance(part, ToolResult))


def texts(result: ToolResult) -> list[str]:
    assert not result.is_error, result.content
    return [found["text"] for found in json.loads(result.content)]


async def test_a_passage_is_found_with_its_session_and_day() -> None:
    storage = MemoryStorage()
    await remember(storage, "My cat is called Mitzi.", user_id="ada", session_id="first")

    found = json.loads((await search(storage, "the CAT's name", user_id="ada")).content)

    record = (await storage.query(SESSIONS, "default")).records
    day = next(each.value["updated_at"][:10] for each in record if each.id == "first")
    assert [{"session": "first", "last_used": day, "speaker": "user", "text": "My cat is called Mitzi."}] == found


async def test_other_users_tenants_and_sessions_of_nobody_are_never_found() -> None:
    storage = MemoryStorage()
    await remember(storage, "secret of bob", user_id="bob")
    await remember(storage, "secret of nobody")
    await remember(storage, "secret elsewhere", user_id="ada", tenant="other")
    await remember(storage, "secret of ada", user_id="ada")

    assert ["secret of ada"] == texts(await search(storage, "secret", user_id="ada"))
    assert ["secret elsewhere"] == texts(await search(storage, "secret", user_id="ada", tenant="other"))
    assert [] == texts(await search(storage, "secret", user_id="eve"))


async def test_the_present_session_is_not_searched() -> None:
    storage = MemoryStorage()
    await remember(storage, "the cat of now", user_id="ada", session_id="now")
    await remember(storage, "the cat of then", user_id="ada", session_id="then")

    assert ["the cat of then"] == texts(await search(storage, "cat", user_id="ada", session_id="now"))


async def test_more_and_rarer_words_come_first() -> None:
    storage = MemoryStorage()
    for said in ["Bern", "the train to Bern", "the train to Rome", "the train", "nothing of it"]:
        await remember(storage, said, user_id="ada")

    assert ["the train to Bern", "Bern", "the train"] == texts(await search(storage, "train Bern", limit=3, user_id="ada"))


async def test_words_are_whole_and_chinese_needs_no_spaces() -> None:
    storage = MemoryStorage()
    await remember(storage, "concatenate", user_id="ada")
    await remember(storage, "我的猫叫咪咪", user_id="ada")

    assert [] == texts(await search(storage, "cat", user_id="ada"))
    assert ["我的猫叫咪咪"] == texts(await search(storage, "猫", user_id="ada"))


async def test_a_long_passage_is_cut_around_the_word() -> None:
    storage = MemoryStorage()
    await remember(storage, f"{'a ' * 500}Mitzi {'b ' * 500}", user_id="ada")

    (found,) = texts(await search(storage, "mitzi", options={"excerpt": 40}, user_id="ada"))

    assert "Mitzi" in found
    assert 42 == len(found)
    assert found[0] == found[-1] == "…"


async def test_reading_is_bounded_to_the_newest_sessions_and_turns() -> None:
    storage = MemoryStorage()
    for session_id, said in [("old", "cat one"), ("new", "cat two"), ("new", "cat three")]:
        await remember(storage, said, user_id="ada", session_id=session_id)

    found = await search(storage, "cat", options={"sessions": 1, "turns": 1}, user_id="ada", session_id="now")

    assert ["cat three"] == texts(found)


async def test_the_bound_of_sessions_holds_for_an_old_session_that_goes_on() -> None:
    storage = MemoryStorage()
    for session_id in ["now", "old", "new"]:
        await remember(storage, f"cat {session_id}", user_id="ada", session_id=session_id)

    found = await search(storage, "cat", options={"sessions": 1}, user_id="ada", session_id="now")

    assert ["cat new"] == texts(found)


async def test_only_what_the_user_and_the_assistant_said_is_found() -> None:
    storage = MemoryStorage()
    rules = [Message("system", "never speak of the cat"), Message("user", "my cat")]
    await Agent(model=ScriptedModel(["Noted."]), storage=storage).arun(rules, user_id="ada", session_id="s")
    foreign = Turn("r", "agent", (Message("user", "the cat of bob"),), "bob")
    await SessionLog(storage, "default", "s").add_turn(foreign)

    assert ["my cat"] == texts(await search(storage, "cat", user_id="ada"))


@pytest.mark.parametrize(("storage", "who", "lacking"), [(None, {"user_id": "ada"}, "storage"), (MemoryStorage(), {}, "user")])
async def test_without_a_user_or_a_storage_it_says_what_is_missing(storage: Any, who: Any, lacking: str) -> None:
    found = await search(storage, "cat", **who)

    assert found.is_error
    assert lacking in found.content


async def test_a_query_without_words_is_an_error() -> None:
    found = await search(MemoryStorage(), " ?! ", user_id="ada")

    assert found.is_error
    assert "no words" in found.content


def test_the_bounds_of_its_reading_are_checked() -> None:
    with pytest.raises(ValueError, match="sessions"):
        SessionSearch(sessions=0)
