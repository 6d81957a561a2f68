"""A program as users write it, for the type checker: what it infers here is what they see in their editors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

from attrs import frozen

from ergaster import (
    Agent,
    Feature,
    Image,
    Kernel,
    Limits,
    Message,
    Model,
    ModelRequest,
    ModelResponse,
    RunContext,
    RunResult,
    Secret,
    Spec,
    Text,
    Toolkit,
    Usage,
    hookimpl,
    tool,
    wait,
)
from ergaster.contracts.model import Delta
from ergaster.errors import ErgasterError, RateLimited
from ergaster.events import TextDelta
from ergaster.refs import Ref
from ergaster.testing import ScriptedModel


@frozen
class Order:
    """What the agent answers with."""

    article: str
    pieces: int = 1


@tool(effects={"read"}, idempotent=True)
def stock_of(article: str) -> int:
    """Return how many pieces are in stock."""
    return len(article)


@tool
async def reserve(article: str, pieces: int, context: RunContext) -> str:
    """Reserve pieces of an article."""
    return f"{pieces} {article} for {context.user_id}"


class Warehouse(Toolkit):
    """Tools that share something."""

    @tool
    def shelves(self, aisle: int) -> list[str]:
        """Return what is in an aisle."""
        return [str(aisle)]


class Reminder(Feature):
    """Adds a sentence to the system prompt."""

    async def instructions(self, context: RunContext) -> str:
        """Return the sentence."""
        return f"You talk to {context.user_id}."


class Parrot(Model):
    """A model that says what it hears."""

    provider = "parrot"
    name = "parrot"

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """Return the last message."""
        return ModelResponse(message=Message("assistant", request.messages[-1].text))

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Yield it in one piece."""
        response = await self.generate(request)
        yield Delta("text", response.message.text)
        yield response


@frozen
class ParrotSettings:
    """Options of the model `parrot`."""

    api_key: Secret | None = None


def make_parrot(ref: Ref, settings: ParrotSettings) -> Model:
    """Make the model."""
    return Parrot()


@hookimpl
def ergaster_models() -> list[Spec[Model]]:
    """Provide the model."""
    return [Spec("parrot", make_parrot, settings=ParrotSettings, summary="Says what it hears")]


def use_synchronously() -> int:
    """Run, stream, resume and cancel from a script."""
    agent = Agent(
        name="buyer",
        model=ScriptedModel(["Hello"]),
        tools=[stock_of, reserve, Warehouse(), "calculator", {"use": "files", "root": "."}],
        instructions="Keep ten of everything.",
        output_schema=Order,
        limits=Limits(tool_calls=20),
        features=[Reminder()],
        history=False,
        kernel=Kernel(),
    )
    result = agent.run("What about lamps?", user_id="ada", session_id="s1", model=Parrot())
    assert_type(result, RunResult)
    assert_type(result.text, str)
    assert_type(result.usage, Usage)
    assert_type(stock_of("lamp"), int)
    if isinstance(result.output, Order):
        assert_type(result.output.pieces, int)
    for event in agent.stream(Message("user", (Text("Look"), Image(b"", media_type="image/png")))):
        if isinstance(event, TextDelta):
            assert_type(event.text, str)
    if result.status == "paused":
        result = agent.resume(result.run_id, [question.approve() for question in result.pending])
    assert_type(agent.cancel(result.run_id), bool)
    return result.usage.total_tokens


async def use_asynchronously() -> str:
    """Run in an event loop of one's own."""
    async with Agent(model="auto", tools=[stock_of]) as agent:
        try:
            async for event in agent.astream("Hello"):
                assert_type(event.run_id, str)
            return (await agent.arun("Hello")).text
        except RateLimited as error:
            assert_type(error.retry_after, float | None)
        except ErgasterError:
            raise
    return ""


def main() -> None:
    """Show that an awaitable's type goes through the synchronous door."""
    assert_type(wait(use_asynchronously()), str)
