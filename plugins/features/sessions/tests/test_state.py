"""What the model sees of a session's state, and how it changes it."""

from __future__ import annotations

import pytest

from ergaster import Agent, Kernel
from ergaster.errors import InvalidOption
from ergaster.messages import ToolCall, ToolResult
from ergaster.testing import FeatureContract, ScriptedModel
from ergaster_memory import MemoryStorage
from ergaster_sessions import SessionState

ALL_BYTES = 8192


class TestContract(FeatureContract):
    ref = "session_state"


def update(changes: str, number: int = 0) -> list[ToolCall]:
    return [ToolCall(f"c{number}", "update_session_state", f'{{"changes": {changes}}}')]


def system(model: ScriptedModel, call: int = -1) -> str:
    return model.requests[call].messages[0].text


def result(model: ScriptedModel) -> ToolResult:
    return next(part for message in model.requests[-1].messages for part in message.parts if isinstance(part, ToolResult))


async def test_what_the_model_sets_is_there_in_the_next_run_and_null_removes_it() -> None:
    model = ScriptedModel([update('{"city": "Bern", "guests": [1, 2]}'), "ok", update('{"city": null}'), "ok", "ok"])
    agent = Agent(model=model, storage=MemoryStorage(), session_state=True)

    await agent.arun("one", session_id="s")
    await agent.arun("two", session_id="s")
    assert system(model).endswith('{"city":"Bern","guests":[1,2]}')
    await agent.arun("three", session_id="s")

    assert system(model).endswith('{"guests":[1,2]}')


async def test_the_state_is_the_last_text_of_the_prompt() -> None:
    model = ScriptedModel(["ok"])
    agent = Agent(model=model, instructions="Be brief.", features=[SessionState()])

    await agent.arun("one", session_state={"b": 1, "a": "x"})

    assert system(model).startswith("Be brief.")
    assert system(model).endswith('{"a":"x","b":1}')


async def test_other_sessions_do_not_have_it() -> None:
    model = ScriptedModel([update('{"city": "Bern"}'), "ok", "ok"])
    agent = Agent(model=model, storage=MemoryStorage(), session_state=True)

    await agent.arun("one", session_id="s")
    await agent.arun("two", session_id="t")

    assert "Bern" not in system(model)


async def test_only_the_keys_of_the_list_are_seen_and_changed() -> None:
    model = ScriptedModel([update('{"city": "Bern", "role": "admin"}'), "ok", "ok"])
    agent = Agent(model=model, storage=MemoryStorage(), session_state=["city"])

    await agent.arun("one", session_id="s", session_state={"role": "guest", "city": "Rome"})
    assert result(model).is_error
    assert "'role'" in result(model).content
    await agent.arun("two", session_id="s")

    assert system(model).endswith('{"city":"Rome"}')
    assert "role" not in system(model)


async def test_a_state_that_would_grow_too_large_is_refused_and_can_be_made_smaller() -> None:
    large = "x" * ALL_BYTES
    model = ScriptedModel([update(f'{{"a": "{large}"}}'), "ok", update('{"b": null}'), "ok", "ok"])
    agent = Agent(model=model, storage=MemoryStorage(), session_state=True)

    await agent.arun("one", session_id="s", session_state={"b": large + "y", "c": 1})
    assert result(model).is_error
    assert f"{ALL_BYTES}" in result(model).content
    assert system(model).endswith('{"c":1}\nKeys whose values are too large to show: ["b"]')
    await agent.arun("two", session_id="s", history=False)
    assert not result(model).is_error
    await agent.arun("three", session_id="s")

    assert system(model).endswith('{"c":1}')


async def test_a_resumed_run_is_told_the_state_that_it_began_with() -> None:
    def fail_once(request: object) -> object:
        calls.append(request)
        if len(calls) == 2:
            raise RuntimeError("the process is gone")
        return update('{"a": 1}') if len(calls) == 1 else "done"

    calls: list[object] = []
    model = ScriptedModel(fail_once)
    agent = Agent(model=model, storage=MemoryStorage(), session_state=True)

    with pytest.raises(RuntimeError):
        await agent.arun("one", run_id="r", session_id="s")
    await agent.arun("two", session_id="s", session_state={"b": 2})
    assert system(model).endswith('{"a":1,"b":2}')
    await agent.aresume("r")

    assert system(model, 0) == system(model)


async def test_an_option_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidOption, match="max_bytes"):
        Kernel().create("feature", "session_state", {"max_bytes": 1})
