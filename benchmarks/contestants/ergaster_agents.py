"""Ergaster, over the plugin that the module which imports this one names in `MODEL`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from replies import ANSWER

from ergaster import Agent, Limits, Message
from ergaster.contracts.model import Delta, Model, ModelRequest, ModelResponse
from ergaster.events import TextDelta
from ergaster.messages import StopReason, ToolCall

INSTRUCTIONS = "You are a helpful assistant."
LIMITS = Limits(model_calls=None, tool_calls=None)
QUESTION = "How is the weather in Oslo?"


async def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is mild in {city}."


def cold(model: str) -> str:
    return f"""
import sys
from ergaster import Agent
async def weather(city: str) -> str:
    "Tell the weather of a city."
    return "mild"
agent = Agent(model={{**{model!r}, "base_url": sys.argv[1], "api_key": "k"}}, tools=[weather])
async def first():
    await agent.arun("Hi")
"""


def agent_with(options: dict[str, Any], url: str, model: str) -> Agent:
    given = {**options, "use": f"{options['use']}:{model}", "base_url": url, "api_key": "k"}
    return Agent(model=given, tools=[weather], instructions=INSTRUCTIONS, limits=LIMITS)


def runner_of(agent: Agent) -> Callable[[], Awaitable[Any]]:
    async def run() -> str:
        return (await agent.arun(QUESTION)).text

    return run


def streamer_of(agent: Agent) -> Callable[[], Awaitable[Any]]:
    async def run() -> str:
        return "".join([event.text async for event in agent.astream(QUESTION) if isinstance(event, TextDelta)])

    return run


class InProcess(Model):
    """Answers at once; with *calls* it calls the tool first."""

    provider = name = "in-process"

    def __init__(self, calls: int = 0) -> None:
        self.calls = calls

    async def generate(self, request: ModelRequest) -> ModelResponse:
        if request.messages[-1].role == "tool" or not self.calls:
            return ModelResponse(message=Message("assistant", ANSWER))
        call = ToolCall("call_1", "weather", '{"city":"Oslo"}')
        return ModelResponse(message=Message("assistant", (call,)), stop_reason=StopReason.TOOL_CALLS)

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        yield await self.generate(request)


def in_process(calls: int) -> Callable[[], Awaitable[Any]]:
    return runner_of(Agent(model=InProcess(calls), tools=[weather], instructions=INSTRUCTIONS))


def durable(path: str) -> Callable[[str], Awaitable[Any]]:
    """Return a function that runs once on a session, whose last twenty runs the model sees."""
    return _on_session(Agent(model=InProcess(), instructions=INSTRUCTIONS, storage=f"sqlite:///{path}"))


def fleeting() -> Callable[[str], Awaitable[Any]]:
    """Return what `durable` does, without a storage."""
    return _on_session(Agent(model=InProcess(), instructions=INSTRUCTIONS))


def _on_session(agent: Agent) -> Callable[[str], Awaitable[Any]]:
    async def run(session: str) -> str:
        return (await agent.arun(QUESTION, session_id=session)).text

    return run
