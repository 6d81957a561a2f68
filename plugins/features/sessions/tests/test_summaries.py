"""When a session is summarised, from what, and where the summary is shown."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any

import pytest

from ergaster import Agent, Feature, Kernel, Limits, RunContext, Spec, Stage
from ergaster.contracts.feature import CallModel
from ergaster.contracts.model import ModelRequest, ModelResponse
from ergaster.errors import AuthenticationFailed, BadRequest, InvalidOption, LimitReached
from ergaster.messages import ToolCall
from ergaster.sessions import SessionLog
from ergaster.testing import FeatureContract, ScriptedModel
from ergaster_memory import MemoryStorage

SHORT = {"after": 3, "keep": 1}


class TestContract(FeatureContract):
    ref = "summaries"


def is_summary(request: ModelRequest) -> bool:
    return request.messages[0].text.startswith("You summarise")


def answer(request: ModelRequest) -> str:
    if is_summary(request):
        return f"  summary of {request.messages[-1].text.count('user')} questions\n"
    return f"answer {request.messages[-1].text}"


def shown(request: ModelRequest) -> list[str]:
    return [message.text.rpartition("]\n")[2] for message in request.messages]


def summaries(model: ScriptedModel) -> list[str]:
    return [request.messages[-1].text for request in model.requests if is_summary(request)]


async def look() -> str:
    """Look."""
    return "seen"


def looks_once(request: ModelRequest) -> Any:
    if is_summary(request) or request.messages[-1].role == "tool":
        return answer(request)
    return ToolCall("c", "look")


async def talk(agent: Agent, turns: int, *, start: int = 0, **options: Any) -> Any:
    result = None
    for number in range(start, start + turns):
        result = await agent.arun(str(number), session_id="s", **options)
    return result


async def test_older_turns_are_summarised_and_stand_before_the_history() -> None:
    model = ScriptedModel(answer)
    agent = Agent(model=model, storage=MemoryStorage(), instructions="Be brief.", history={"turns": 1}, summaries=SHORT)

    await talk(agent, 4)
    assert [] == summaries(model)
    await talk(agent, 1, start=4)

    (given,) = summaries(model)
    assert '"0"' in given
    assert '"answer 2"' in given
    assert '"3"' not in given
    assert ["Be brief.", "summary of 3 questions", "3", "answer 3", "4"] == shown(model.requests[-1])
    assert model.requests[-1].messages[1].text.startswith("[Summary of the earlier part")


async def test_the_summary_is_kept_and_the_next_one_takes_it_over() -> None:
    model = ScriptedModel(answer)
    storage = MemoryStorage()

    await talk(Agent(model=model, storage=storage, history=False, summaries=SHORT), 5)
    await talk(Agent(model=model, storage=storage, history=False, summaries=SHORT), 2, start=5)
    assert 1 == len(summaries(model))
    assert ["summary of 3 questions", "6"] == shown(model.requests[-1])
    await talk(Agent(model=model, storage=storage, history=False, summaries=SHORT), 1, start=7)

    assert 2 == len(summaries(model))
    assert '{"speaker":"earlier summary","text":"summary of 3 questions"}' in summaries(model)[1]
    assert '"2"' not in summaries(model)[1]
    assert '"5"' in summaries(model)[1]
    assert '"6"' not in summaries(model)[1]


async def test_other_sessions_and_tenants_do_not_see_it() -> None:
    model = ScriptedModel(answer)
    agent = Agent(model=model, storage=MemoryStorage(), history=False, summaries=SHORT)

    await talk(agent, 5)
    await agent.arun("elsewhere", session_id="t")
    assert ["elsewhere"] == shown(model.requests[-1])
    await agent.arun("elsewhere", session_id="s", tenant="other")

    assert ["elsewhere"] == shown(model.requests[-1])


async def test_the_summary_is_not_streamed_and_is_the_same_at_every_step() -> None:
    model = ScriptedModel(looks_once)
    agent = Agent(model=model, tools=[look], storage=MemoryStorage(), history=False, summaries=SHORT)
    await talk(agent, 4)

    events = [event async for event in agent.astream("4", session_id="s")]

    assert "summary" not in "".join(getattr(event, "text", "") for event in events)
    assert 1 == len(summaries(model))
    assert "seen" in summaries(model)[0]
    assert ["summary of 3 questions", "4"] == shown(model.requests[-2])
    assert ["summary of 3 questions", "4"] == shown(model.requests[-1])[:2]


async def test_its_cost_counts_for_the_run_and_its_limits() -> None:
    model = ScriptedModel(looks_once)
    agent = Agent(model=model, tools=[look], storage=MemoryStorage(), history=False, summaries=SHORT)

    before = await talk(agent, 4)
    tokens = before.usage.total_tokens
    after = await talk(agent, 1, start=4)
    assert 30 == after.usage.input_tokens
    await talk(agent, 2, start=5, limits=Limits(tokens=tokens, on_limit="fail"))

    with pytest.raises(LimitReached):
        await talk(agent, 1, start=7, limits=Limits(tokens=tokens, on_limit="fail"))


async def test_a_resumed_run_shows_the_same_and_pays_once() -> None:
    fails = [False]

    def fail_when_told(request: ModelRequest) -> Any:
        if fails[0] and not is_summary(request):
            raise RuntimeError("the process is gone")
        return answer(request)

    model = ScriptedModel(fail_when_told)
    agent = Agent(model=model, storage=MemoryStorage(), history=False, summaries=SHORT)
    await talk(agent, 4)
    fails[0] = True
    with pytest.raises(RuntimeError):
        await agent.arun("4", session_id="s", run_id="r")
    fails[0] = False

    result = await agent.aresume("r")

    assert 1 == len(summaries(model))
    assert ["summary of 3 questions", "4"] == shown(model.requests[-1])
    assert 20 == result.usage.input_tokens


async def test_another_model_can_summarise() -> None:
    own, other = ScriptedModel(answer), ScriptedModel(answer)
    kernel = Kernel()
    kernel.plugins.register_spec("model", Spec("other", lambda ref, settings: other))
    agent = Agent(model=own, storage=MemoryStorage(), history=False, summaries={**SHORT, "model": "other"}, kernel=kernel)

    await talk(agent, 5)

    assert [] == summaries(own)
    assert 1 == len(summaries(other))
    assert ["summary of 3 questions", "4"] == shown(own.requests[-1])


async def test_features_further_in_are_told_which_model_summarises() -> None:
    class Look(Feature):
        stage = Stage.FALLBACK

        def around_model(self, request: ModelRequest, context: RunContext, call: CallModel) -> Any:
            seen.append(request.model)
            return call(request)

    seen: list[Any] = []
    model = ScriptedModel(answer)
    agent = Agent(model=model, storage=MemoryStorage(), history=False, summaries=SHORT, features=[Look()])

    await talk(agent, 5)

    assert [model] * 6 == seen


async def test_a_failed_summary_does_not_fail_the_run_and_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    replies: list[Any] = [BadRequest("too long"), ""]

    def fail_at_first(request: ModelRequest) -> Any:
        return replies.pop(0) if is_summary(request) and replies else answer(request)

    model = ScriptedModel(fail_at_first)
    agent = Agent(model=model, storage=MemoryStorage(), history=False, summaries=SHORT)

    with caplog.at_level(logging.WARNING):
        await talk(agent, 6)
    assert 2 == sum(record.name.startswith("ergaster") for record in caplog.records)
    assert ["5"] == shown(model.requests[-1])
    await talk(agent, 1, start=6)

    assert ["summary of 5 questions", "6"] == shown(model.requests[-1])


async def test_a_wrong_key_of_the_model_that_summarises_is_told() -> None:
    def refuse(request: ModelRequest) -> Any:
        return AuthenticationFailed("wrong key") if is_summary(request) else answer(request)

    agent = Agent(model=ScriptedModel(refuse), storage=MemoryStorage(), history=False, summaries=SHORT)
    await talk(agent, 4)

    with pytest.raises(AuthenticationFailed):
        await talk(agent, 1, start=4)


async def test_two_runs_that_summarise_at_once_show_and_keep_one_summary() -> None:
    both = asyncio.Barrier(2)
    number = itertools.count(1)

    class Together(ScriptedModel):
        async def generate(self, request: ModelRequest) -> ModelResponse:
            if is_summary(request):
                await both.wait()
            return await super().generate(request)

    model = Together(lambda request: f"summary {next(number)}" if is_summary(request) else answer(request))
    agent = Agent(model=model, storage=MemoryStorage(), history=False, summaries=SHORT)
    await talk(agent, 4)

    await asyncio.gather(*(agent.arun(f"both {number}", session_id="s") for number in range(2)))
    await agent.arun("after", session_id="s")

    assert 2 == len(summaries(model))
    answered = [shown(request) for request in model.requests if not is_summary(request)]
    assert ["summary 1"] * 3 == [messages[0] for messages in answered[-3:]]


async def test_a_turn_that_a_crash_stored_twice_counts_once() -> None:
    model = ScriptedModel(answer)
    storage = MemoryStorage()
    agent = Agent(model=model, storage=storage, history=False, summaries=SHORT)
    await talk(agent, 5)
    log = SessionLog(storage, "default", "s")
    await log.add_turn((await log.turns(1))[0])

    await talk(agent, 2, start=5)
    assert 1 == len(summaries(model))
    await talk(agent, 1, start=7)

    assert 2 == len(summaries(model))


def test_keeping_as_many_turns_as_make_it_due_is_refused() -> None:
    with pytest.raises(InvalidOption, match="'keep'"):
        Kernel().create("feature", "summaries", {"after": 5, "keep": 5})
