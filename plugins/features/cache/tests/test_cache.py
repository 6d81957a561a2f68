"""What is answered from the cache, for whom, and for how long."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ergaster import Agent, ModelSettings
from ergaster.contracts.model import ModelResponse
from ergaster.errors import InvalidOption, RateLimited
from ergaster.events import TextDelta
from ergaster.messages import Message, StopReason
from ergaster.testing import FeatureContract, ScriptedModel
from ergaster_cache.shelf import Shelf


class TestContract(FeatureContract):
    ref = "cache"


def counting() -> ScriptedModel:
    model = ScriptedModel(lambda request: f"answer {len(model.requests)}")
    return model


async def test_the_same_request_is_answered_once_and_costs_nothing_again() -> None:
    model = counting()
    agent = Agent(model=model, cache=True)

    first, second = await agent.arun("hi"), await agent.arun("hi")
    events = [event async for event in agent.astream("hi")]

    assert ["answer 1"] * 2 == [first.text, second.text]
    assert "answer 1" == "".join(event.text for event in events if isinstance(event, TextDelta))
    assert (1, 0) == (len(model.requests), second.usage.total_tokens)
    assert first.usage.total_tokens > 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"tenant": "a"}, {"tenant": "b"}),
        ({"user_id": "a"}, {"user_id": "b"}),
        ({"user_id": "a"}, {}),
        ({"tenant": "a", "user_id": "b"}, {"tenant": "b", "user_id": "a"}),
        ({"settings": ModelSettings(temperature=0.1)}, {"settings": ModelSettings(temperature=0.2)}),
        ({"instructions": "Be brief."}, {}),
        ({"model": counting()}, {"model": counting()}),
    ],
)
async def test_whatever_differs_is_asked_anew(first: Mapping[str, object], second: Mapping[str, object]) -> None:
    model = ScriptedModel(lambda request: "answer")
    agent = Agent(model=model, cache=60)

    await agent.arun("hi", **first)
    await agent.arun("hi", **second)

    assert 2 == len(model.requests) + sum(len(each["model"].requests) for each in (first, second) if "model" in each)


@pytest.mark.parametrize("stop", [StopReason.LENGTH, StopReason.REFUSAL, StopReason.OTHER])
async def test_a_reply_that_is_not_whole_is_not_kept(stop: StopReason) -> None:
    model = ScriptedModel([ModelResponse(message=Message("assistant", "par"), stop_reason=stop), "whole"])
    agent = Agent(model=model, cache=True)

    assert "par" == (await agent.arun("hi")).text
    assert "whole" == (await agent.arun("hi")).text


async def test_an_error_is_not_kept() -> None:
    model = ScriptedModel([RateLimited("slow down", can_retry=False), "ok"])
    agent = Agent(model=model, cache=True)

    with pytest.raises(RateLimited):
        await agent.arun("hi")
    assert "ok" == (await agent.arun("hi")).text


async def test_what_another_model_answered_is_not_the_first_ones() -> None:
    first = ScriptedModel([RateLimited("slow down"), "from the first"], name="first")
    second = ScriptedModel(["from the second"], name="second")
    agent = Agent(model=first, fallback=[second], cache=True)

    assert ["from the second", "from the first", "from the first"] == [(await agent.arun("hi")).text for _ in range(3)]


def test_a_value_is_kept_for_its_time_and_as_long_as_it_fits() -> None:
    shelf: Shelf[int] = Shelf(ttl=10, size=2)

    shelf.put("a", 1, 0)
    assert (1, None) == (shelf.get("a", 9.9), shelf.get("a", 10))
    for number, key in enumerate("abc"):
        shelf.put(key, number, 20)
        shelf.get("a", 20)
    assert [0, None, 2] == [shelf.get(key, 21) for key in "abc"]
    assert 2 == len(shelf)


@pytest.mark.parametrize("options", [0, {"size": 0}, "long"])
async def test_wrong_options_are_refused(options: object) -> None:
    with pytest.raises(InvalidOption):
        await Agent(model=ScriptedModel([]), cache=options).arun("hi")
