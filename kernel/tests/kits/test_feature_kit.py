"""The feature kit passes a good feature and catches each broken one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from attrs import evolve

from ergaster.contracts.context import RunContext, ToolContext
from ergaster.contracts.feature import CallModel, CallTool, Feature, RunStream
from ergaster.contracts.model import Delta, ModelRequest, ModelResponse
from ergaster.contracts.toolkit import Tool, ToolOutput
from ergaster.events import Event
from ergaster.messages import Message, ToolCall, ToolResult
from ergaster.testing.feature import FeatureContract


class Good(Feature):
    """Wraps everything and changes nothing."""

    name = "good"

    async def instructions(self, context: RunContext) -> str:
        return "Think first."

    async def messages(self, context: RunContext) -> Sequence[Message]:
        context.state(self)["seen"] = True
        return [Message("user", "Hello."), Message("assistant", "Hello to you.")]

    async def around_run(self, context: RunContext, run: RunStream) -> AsyncIterator[Event]:
        async for event in run():
            yield event

    async def around_model(
        self, request: ModelRequest, context: RunContext, call: CallModel
    ) -> AsyncIterator[Delta | ModelResponse]:
        async for item in call(request):
            yield item

    async def around_tool(self, tool_call: ToolCall, context: ToolContext, call: CallTool) -> ToolOutput:
        return await call(tool_call)


class TestGood(FeatureContract):
    @pytest.fixture
    def feature(self) -> Feature:
        return Good()


class LosesTheEnd(Good):
    async def around_run(self, context: RunContext, run: RunStream) -> AsyncIterator[Event]:
        async for event in run():
            if not event.is_terminal:
                yield event


class DoublesText(Good):
    async def around_model(
        self, request: ModelRequest, context: RunContext, call: CallModel
    ) -> AsyncIterator[Delta | ModelResponse]:
        async for item in call(request):
            yield item
            if isinstance(item, Delta) and item.kind == "text":
                yield item


class ChangesWhenStreaming(Good):
    async def around_model(
        self, request: ModelRequest, context: RunContext, call: CallModel
    ) -> AsyncIterator[Delta | ModelResponse]:
        streamed = False
        async for item in call(request):
            streamed = streamed or isinstance(item, Delta)
            if isinstance(item, ModelResponse) and streamed and not item.message.tool_calls:
                item = evolve(item, message=Message("assistant", "something else"))  # noqa: PLW2901
            yield item


class ForgetsThePrompt(Good):
    async def around_model(
        self, request: ModelRequest, context: RunContext, call: CallModel
    ) -> AsyncIterator[Delta | ModelResponse]:
        number = Message("system", f"call {len(context.messages)}")
        async for item in call(evolve(request, messages=(number, *request.messages))):
            yield item


class BreaksTheConversation(Good):
    async def around_model(
        self, request: ModelRequest, context: RunContext, call: CallModel
    ) -> AsyncIterator[Delta | ModelResponse]:
        orphan = Message("tool", ToolResult("nobody", "echo", content="x"))
        async for item in call(evolve(request, messages=(*request.messages[:1], orphan, *request.messages[1:]))):
            yield item


class MixesRuns(Good):
    def __init__(self) -> None:
        self.last: ToolCall | None = None

    async def around_tool(self, tool_call: ToolCall, context: ToolContext, call: CallTool) -> ToolOutput:
        self.last = tool_call
        await asyncio.sleep(0)
        return await call(self.last)


class HidesErrors(Good):
    async def around_model(
        self, request: ModelRequest, context: RunContext, call: CallModel
    ) -> AsyncIterator[Delta | ModelResponse]:
        try:
            async for item in call(request):
                yield item
        except Exception as error:
            raise RuntimeError("something went wrong") from error


class SwallowsToolErrors(Good):
    async def around_tool(self, tool_call: ToolCall, context: ToolContext, call: CallTool) -> ToolOutput:
        try:
            return await call(tool_call)
        except Exception:
            return ToolOutput("fine")


class LeavesTasks(Good):
    async def around_tool(self, tool_call: ToolCall, context: ToolContext, call: CallTool) -> ToolOutput:
        self.left = asyncio.ensure_future(call(tool_call))  # held, or the collector may end it first
        return await asyncio.shield(self.left)


class NamesBadly(Good):
    def tools(self) -> Sequence[Tool]:
        return [Tool(name="no good!", description="x", parameters={"type": "object"}, invoke=None)]


class OpensOnce(Good):
    was_closed = False

    async def open(self) -> None:
        if self.was_closed:
            raise RuntimeError("it was closed")

    async def close(self) -> None:
        self.was_closed = True


class KeepsObjects(Good):
    async def messages(self, context: RunContext) -> Sequence[Message]:
        context.state(self)["run"] = object()
        return ()


MUTANTS = [
    (LosesTheEnd, "test_a_run_ends_with_one_terminal_event_and_its_answer"),
    (DoublesText, "test_streamed_text_is_neither_lost_nor_doubled"),
    (ChangesWhenStreaming, "test_streaming_or_not_gives_the_same_answer"),
    (ForgetsThePrompt, "test_the_prompt_is_the_same_at_every_step_of_a_run"),
    (BreaksTheConversation, "test_what_the_model_is_sent_is_a_valid_conversation"),
    (MixesRuns, "test_runs_at_the_same_time_do_not_mix"),
    (HidesErrors, "test_an_error_of_the_model_keeps_its_class"),
    (SwallowsToolErrors, "test_an_error_of_a_tool_reaches_the_model"),
    (LeavesTasks, "test_a_cancelled_run_ends_and_leaves_no_task"),
    (NamesBadly, "test_its_tools_have_legal_names_and_descriptions"),
    (OpensOnce, "test_opening_and_closing_twice_is_harmless"),
    (KeepsObjects, "test_its_state_can_be_kept_as_json"),
]


@pytest.mark.parametrize(("mutant", "test"), MUTANTS, ids=lambda each: getattr(each, "__name__", each))
async def test_the_kit_catches_a_broken_feature(mutant: type[Feature], test: str) -> None:
    case: Any = getattr(FeatureContract(), test)
    before = asyncio.all_tasks()

    with pytest.raises((Exception, pytest.fail.Exception)):
        await case(mutant())
    for task in asyncio.all_tasks() - before:
        task.cancel()


def test_every_promise_of_the_kit_has_a_mutant() -> None:
    promises = {name for name, _ in inspect.getmembers(FeatureContract, inspect.isfunction) if name.startswith("test_")}

    assert {test for _, test in MUTANTS} == promises
