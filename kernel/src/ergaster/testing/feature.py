"""The contract kit of features."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import pytest

from ergaster.agent import Agent
from ergaster.codec import dump_json
from ergaster.contracts.feature import Feature
from ergaster.contracts.model import Model, ModelRequest
from ergaster.errors import AuthenticationFailed, ToolError
from ergaster.events import TextDelta
from ergaster.kernel import default_kernel
from ergaster.messages import Message, Part, Text, ToolCall, ToolResult
from ergaster.testing.contract import Contract
from ergaster.testing.scripted import ScriptedModel
from ergaster.transcript import repair

__all__ = ["FeatureContract"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


async def echo(text: str) -> str:
    """Return a text.

    Args:
        text: Any text; `fail` raises an error.
    """
    if text == "fail":
        raise ToolError("it failed as it was told to", tool="echo")
    await asyncio.sleep(0)
    return text


def _call(number: int, text: str) -> ToolCall:
    return ToolCall(f"c{number}", "echo", dump_json({"text": text}))


def _conversation(request: ModelRequest) -> str | list[Part]:
    """Call the tool twice, then answer with what was asked and what the tool gave."""
    asked = next(message.text for message in reversed(request.messages) if message.role == "user")
    last_question = max(index for index, message in enumerate(request.messages) if message.role == "user")
    results = [part for message in request.messages[last_question:] for part in message.parts if isinstance(part, ToolResult)]
    if len(results) < 2 and request.tools:
        return [Text("Wait. "), _call(len(results), f"{asked}/{len(results)}")]
    return f"{asked}: {', '.join(result.content for result in results)}"


class FeatureContract(Contract):
    """What every feature promises.

        class TestHistory(FeatureContract):
            ref = "history"

    Attributes:
        ref: The feature's name; or override the fixture `feature`.
        options: Its options.
        changes_answer: The feature may change what the model or a tool says, so that answers are not compared.
    """

    ref: str = ""
    options: Mapping[str, object] = {}
    changes_answer: bool = False

    @pytest.fixture
    def feature(self) -> Feature:
        """Make the feature."""
        made = default_kernel().create("feature", self.ref, self.options)
        assert isinstance(made, Feature)
        return made

    def agent(self, feature: Feature, model: Model | None = None, **more: Any) -> Agent:
        """Return an agent with the feature and a tool, on a scripted model."""
        model = model or ScriptedModel(_conversation)
        return Agent(model=model, tools=[echo], features=[feature], instructions="Be brief.", **more)

    async def test_a_run_ends_with_one_terminal_event_and_its_answer(self, feature: Feature) -> None:
        agent = self.agent(feature)

        events = [event async for event in agent.astream("one")]

        own = [event for event in events if event.run_id == events[0].run_id]
        assert [event.kind for event in own if event.is_terminal] == ["run_completed"]
        assert own[-1].is_terminal
        if not self.changes_answer:
            assert getattr(own[-1], "text", "") == "one: one/0, one/1"

    async def test_streamed_text_is_neither_lost_nor_doubled(self, feature: Feature) -> None:
        events = [event async for event in self.agent(feature).astream("one")]

        streamed = "".join(event.text for event in events if isinstance(event, TextDelta))
        if not self.changes_answer:
            assert streamed == "Wait. Wait. one: one/0, one/1"

    async def test_streaming_or_not_gives_the_same_answer(self, feature: Feature) -> None:
        agent = self.agent(feature)

        whole = await agent.arun("two")
        streamed = [event async for event in agent.astream("two")]

        assert whole.text == getattr(streamed[-1], "text", None)

    async def test_the_prompt_is_the_same_at_every_step_of_a_run(self, feature: Feature) -> None:
        model = ScriptedModel(_conversation)

        await self.agent(feature, model).arun("one")

        prefixes = {_system(request.messages) for request in model.requests}
        assert len(prefixes) == 1

    async def test_what_the_model_is_sent_is_a_valid_conversation(self, feature: Feature) -> None:
        model = ScriptedModel(_conversation)

        await self.agent(feature, model).arun("one")

        for request in model.requests:
            assert request.messages == repair(request.messages)

    async def test_runs_at_the_same_time_do_not_mix(self, feature: Feature) -> None:
        agent = self.agent(feature)

        results = await asyncio.gather(*(agent.arun(f"q{number}") for number in range(20)))

        for number, result in enumerate(results):
            others = [f"q{other}/" for other in range(20) if other != number]
            assert f"q{number}" in result.messages[0].text
            if not self.changes_answer:
                assert result.text == f"q{number}: q{number}/0, q{number}/1"
            assert not any(other in result.text for other in others)

    async def test_an_error_of_the_model_keeps_its_class(self, feature: Feature) -> None:
        agent = self.agent(feature, ScriptedModel([AuthenticationFailed("no key")]))

        with pytest.raises(AuthenticationFailed):
            await agent.arun("one")

    async def test_an_error_of_a_tool_reaches_the_model(self, feature: Feature) -> None:
        model = ScriptedModel([[_call(0, "fail")], "sorry"])

        await self.agent(feature, model).arun("one")

        results = [part for message in model.requests[-1].messages for part in message.parts if isinstance(part, ToolResult)]
        assert [result.is_error for result in results] == [True]

    async def test_a_cancelled_run_ends_and_leaves_no_task(self, feature: Feature) -> None:
        began = asyncio.Event()

        async def wait_for_ever() -> None:
            """Wait."""
            began.set()
            await asyncio.Event().wait()

        agent = self.agent(feature, ScriptedModel([[ToolCall("c0", "wait_for_ever")]]))
        agent = agent.replace(tools=[wait_for_ever])
        await agent.aopen()
        before = asyncio.all_tasks()
        running = asyncio.create_task(agent.arun("one", run_id="to-cancel"))
        await began.wait()

        await agent.acancel("to-cancel")
        result = await running

        assert result.status == "cancelled"
        assert asyncio.all_tasks() - before - {running} == set()

    async def test_its_tools_have_legal_names_and_descriptions(self, feature: Feature) -> None:
        for tool in feature.tools():
            assert _NAME.match(tool.name), tool.name
            assert tool.description

    async def test_opening_and_closing_twice_is_harmless(self, feature: Feature) -> None:
        for _ in range(2):
            await feature.open()
            await feature.close()

        assert (await self.agent(feature).arun("one")).status == "completed"

    async def test_its_state_can_be_kept_as_json(self, feature: Feature) -> None:
        from ergaster.contracts.context import RunContext

        seen: list[str] = []

        class Look(Feature):
            name = "look"

            async def after_run(self, context: RunContext) -> None:
                seen.append(dump_json(dict(context.state(feature))))

        await self.agent(feature).replace(features=[feature, Look()]).arun("one")

        assert len(seen) == 1


def _system(messages: tuple[Message, ...]) -> str:
    return "\n".join(message.text for message in messages if message.role == "system")
