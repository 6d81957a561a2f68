"""Which model answers, which error is told, and who is left alone."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import define

from ergaster import Agent, Image, Kernel, Limits, Message, Spec
from ergaster.config import parse_config
from ergaster.contracts.model import Capabilities, Delta, Model, ModelRequest, ModelResponse
from ergaster.errors import (
    AuthenticationFailed,
    BadRequest,
    ContextOverflow,
    InvalidOption,
    MalformedReply,
    ModelError,
    ProviderUnavailable,
    RateLimited,
    Unsupported,
)
from ergaster.events import ModelCompleted, TextDelta
from ergaster.plugins import PluginManager
from ergaster.refs import Ref
from ergaster.testing import FeatureContract, ScriptedModel
from ergaster.testing.feature import _conversation
from ergaster_fallback import Fallback
from ergaster_fallback.circuit import Circuit

NO_IMAGES = Capabilities(images=False)


def fails(error: Callable[[], Exception], name: str = "first", **more: object) -> ScriptedModel:
    def reply(_: ModelRequest) -> Exception:
        return error()

    return ScriptedModel(reply, name=name, **more)


def answers(name: str = "second", **more: object) -> ScriptedModel:
    return ScriptedModel(lambda request: f"{name} says {request.messages[-1].text}", name=name, **more)


def limited() -> RateLimited:
    return RateLimited("slow down", retry_after=600)


class Cut(ScriptedModel):
    """Shows a piece and breaks off."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        self.requests.append(request)
        yield Delta("text", "half a ")
        raise ProviderUnavailable("cut")


class TestContract(FeatureContract):
    ref = "fallback"
    options: ClassVar = {"models": [ScriptedModel(_conversation)]}


class TestContractWhenTheFirstModelIsDown(TestContract):
    def agent(self, feature: Fallback, model: Model | None = None, **more: object) -> Agent:
        return super().agent(feature, model or fails(limited), **more)


@pytest.mark.parametrize("error", [limited, lambda: ProviderUnavailable("down"), lambda: ContextOverflow("too long")])
@pytest.mark.parametrize("is_streaming", [True, False])
async def test_the_next_model_answers_and_is_named(error: Callable[[], Exception], is_streaming: bool) -> None:
    first, second = fails(error), answers()
    agent = Agent(model=first, fallback=[second])

    if is_streaming:
        events = [event async for event in agent.astream("hi")]
        assert "second says hi" == "".join(event.text for event in events if isinstance(event, TextDelta))
        assert ["second"] == [event.model for event in events if isinstance(event, ModelCompleted)]
    else:
        assert "second says hi" == (await agent.arun("hi")).text

    assert [1, 1] == [len(first.requests), len(second.requests)]


async def test_a_reply_without_a_models_name_is_named_after_the_model_that_gave_it() -> None:
    nameless = ScriptedModel(lambda request: ModelResponse(message=Message("assistant", "ok")), name="quiet")

    events = [event async for event in Agent(model=fails(limited), fallback=[nameless]).astream("hi")]

    assert ["quiet"] == [event.model for event in events if isinstance(event, ModelCompleted)]


@pytest.mark.parametrize("error", [AuthenticationFailed("no key"), BadRequest("what?")])
async def test_an_error_that_another_model_would_not_mend_ends_the_call(error: ModelError) -> None:
    second = answers()

    with pytest.raises(type(error)):
        await Agent(model=ScriptedModel([error]), fallback=[second]).arun("hi")

    assert second.requests == []


async def test_a_refused_key_leads_on_when_it_is_named() -> None:
    agent = Agent(
        model=fails(lambda: AuthenticationFailed("no key")), fallback={"models": [answers()], "on": ["authentication"]}
    )

    assert "second says hi" == (await agent.arun("hi")).text


async def test_nothing_leads_on_once_a_piece_was_shown() -> None:
    second = answers()
    agent = Agent(model=Cut([]), fallback=[second])

    events = [event async for event in agent.astream("hi")]

    assert "half a " == "".join(event.text for event in events if isinstance(event, TextDelta))
    assert "run_failed" == events[-1].kind
    assert second.requests == []


async def test_the_last_error_is_raised_with_the_earlier_ones_as_notes() -> None:
    agent = Agent(model=fails(limited), fallback=[fails(lambda: ProviderUnavailable("down", can_retry=False), "second")])

    with pytest.raises(ProviderUnavailable, match="down") as raised:
        await agent.arun("hi")

    notes = [note for note in raised.value.__notes__ if "resume it" not in note]
    assert ["before it, scripted:first failed with RateLimited: slow down"] == notes


async def test_only_the_last_model_is_tried_again() -> None:
    first = fails(lambda: ProviderUnavailable("down", retry_after=0.001))
    second = ScriptedModel([ProviderUnavailable("down", retry_after=0.001), "at last"], name="second")

    result = await Agent(model=first, fallback=[second]).arun("hi")

    assert ("at last", 1, 2) == (result.text, len(first.requests), len(second.requests))


async def test_each_model_uses_up_its_retries_when_told_to() -> None:
    first = fails(lambda: ProviderUnavailable("down", retry_after=0.001))

    await Agent(model=first, fallback={"models": [answers()], "retry_first": True}).arun("hi")

    assert 4 == len(first.requests)


async def test_what_is_too_long_goes_to_a_model_with_a_larger_window() -> None:
    small = fails(lambda: ContextOverflow("too long"), capabilities=Capabilities(context_window=1000))
    same = answers("same", capabilities=Capabilities(context_window=1000))
    large = answers("large", capabilities=Capabilities(context_window=2000))

    assert "large says hi" == (await Agent(model=small, fallback=[same, large]).arun("hi")).text
    assert same.requests == []
    with pytest.raises(ContextOverflow):
        await Agent(model=small, fallback=[same]).arun("hi")


async def test_a_model_that_lacks_what_the_agent_needs_is_an_error_before_it_is_needed() -> None:
    def look() -> str:
        """Look."""
        return "seen"

    agent = Agent(model=answers("first"), tools=[look], fallback=[answers(capabilities=Capabilities(tools=False))])

    with pytest.raises(Unsupported, match=r"scripted:second .* has no tools"):
        await agent.arun("hi")


async def test_a_model_that_cannot_read_the_pictures_is_an_error_when_it_is_needed() -> None:
    picture = Message("user", [Image(b"x", media_type="image/png")])
    blind = answers(capabilities=NO_IMAGES)

    assert "first" in (await Agent(model=answers("first"), fallback=[blind]).arun([picture])).text
    with pytest.raises(Unsupported, match="has no images") as raised:
        await Agent(model=fails(limited), fallback=[blind]).arun([picture])
    assert "RateLimited" in raised.value.__notes__[0]


async def test_a_model_that_keeps_failing_is_left_alone() -> None:
    first = fails(limited)
    agent = Agent(model=first, fallback={"models": [answers()], "failures": 2, "cool_down": 3600})

    for _ in range(5):
        await agent.arun("hi")

    assert 2 == len(first.requests)


async def test_when_all_are_left_alone_one_is_asked_all_the_same() -> None:
    first, second = fails(limited), fails(lambda: ProviderUnavailable("down", can_retry=False), "second")
    options = {"models": [second], "failures": 1, "cool_down": 3600}
    agent = Agent(model=first, fallback=options, limits=Limits(model_retries=0))

    for _ in range(3):
        with pytest.raises(ModelError):
            await agent.arun("hi")

    assert 4 == len(first.requests) + len(second.requests)


def test_a_circuit_opens_after_failures_in_a_row_and_lets_one_call_try() -> None:
    circuit = Circuit(threshold=2, cool_down=10)

    circuit.fail(0)
    circuit.succeed()
    circuit.fail(1)
    assert circuit.admit(2)
    circuit.fail(2)
    assert not circuit.admit(11.9)
    assert [True, False] == [circuit.admit(12), circuit.admit(12)]
    circuit.fail(13)
    assert not circuit.admit(22.9)
    assert circuit.admit(23)
    circuit.succeed()
    assert circuit.admit(23)


async def test_a_malformed_reply_leads_on_when_it_is_named() -> None:
    agent = Agent(model=fails(lambda: MalformedReply("what?")), fallback={"models": [answers()], "on": ["malformed_reply"]})

    assert "second says hi" == (await agent.arun("hi")).text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "at least one"),
        ([3], "reference"),
        ({"models": ["a"], "failures": 0}, "1 or more"),
        ({"models": ["a"], "on": ["x"]}, "rate_limit"),
    ],
)
async def test_wrong_options_say_what_is_expected(options: object, problem: str) -> None:
    with pytest.raises(InvalidOption, match=problem):
        await Agent(model=answers(), fallback=options).arun("hi")


# --- names -----------------------------------------------------------------------------------------------------------


@define
class Settings:
    """Settings of the test's models."""

    answer: str = "ok"


class Named(ScriptedModel):
    """Fails when it is called `down`, else answers with its setting."""

    def __init__(self, ref: Ref, settings: Settings) -> None:
        super().__init__(lambda request: limited() if ref.rest == "down" else settings.answer)
        self.name = ref.rest


def kernel(text: str) -> Kernel:
    made = Kernel(parse_config(tomllib.loads(text), Path.cwd()), plugins=PluginManager())
    made.plugins.register_spec("model", Spec("named", Named, settings=Settings))
    return made


@pytest.mark.parametrize(
    "text",
    [
        "[agents.a]\nmodel = 'named:down'\nfallback = ['named:up']",
        "[agents.a]\nmodel = 'named:down'\nfallback = [{ use = 'named:up', answer = 'ok' }]",
        "[agents.a]\nmodel = 'named:down'\nfallback = ['spare']\n[models]\nspare = 'named:up'",
        "[agents.a]\nmodel = 'fast'\n[models.fast]\nuse = 'named:down'\nfallback = ['named:up']",
        "[agents.a]\nmodel = 'fast'\n[models.fast]\nuse = 'named:down'\nfallback = [{ use = 'named:up', answer = 'ok' }]",
        "[agents.a]\nmodel = 'b'\n[models.c]\nuse = 'named:down'\nfallback = ['named:down', 'named:up']\n[models]\nb = 'c'",
    ],
)
async def test_models_are_named_in_the_file_at_the_agent_and_at_an_alias(text: str) -> None:
    async with kernel(text) as it:
        assert "ok" == (await it.agent("a").arun("hi")).text


async def test_an_agents_own_chain_stands_instead_of_its_aliass() -> None:
    alias = "[models.fast]\nuse = 'named:down'\nfallback = ['named:up']\n"

    own = kernel(alias + "[agents.a]\nmodel = 'fast'\nfallback = [{ use = 'named:up', answer = 'mine' }]")
    assert "mine" == (await own.agent("a").arun("hi")).text
    off = kernel(alias + "[agents.a]\nmodel = 'fast'\nfallback = false\nlimits = { model_retries = 0 }")
    with pytest.raises(RateLimited):
        await off.agent("a").arun("hi")


async def test_an_alias_with_a_chain_cannot_be_a_link_of_another() -> None:
    it = kernel("""
        [models.fast]
        use = 'named:down'
        fallback = ['named:up']
        [agents.a]
        model = 'named:down'
        fallback = ['fast']
    """)

    with pytest.raises(Unsupported, match="'fast' names fallbacks"):
        await it.agent("a").arun("hi")
