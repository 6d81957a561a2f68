"""agno, as its documentation writes agents, with telemetry off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from agno.agent import Agent
from agno.models.base import Model
from agno.models.response import ModelResponse
from replies import ANSWER

COLD = """
import sys
from agno.agent import Agent
from agno.models.openai import OpenAIChat
async def weather(city: str) -> str:
    "Tell the weather of a city."
    return "mild"
agent = Agent(model=OpenAIChat(id="text", base_url=sys.argv[1], api_key="k"), tools=[weather], telemetry=False)
async def first():
    await agent.arun("Hi")
"""
INSTRUCTIONS = "You are a helpful assistant."


async def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is mild in {city}."


def _agent(url: str, model: str) -> Agent:
    from agno.models.openai import OpenAIChat

    chat = OpenAIChat(id=model, base_url=url, api_key="k", max_retries=0)
    return Agent(model=chat, tools=[weather], instructions=INSTRUCTIONS, telemetry=False)


def runner(url: str, model: str) -> Callable[[], Awaitable[Any]]:
    agent = _agent(url, model)

    async def run() -> Any:
        return (await agent.arun("How is the weather in Oslo?")).content

    return run


def streamer(url: str, model: str) -> Callable[[], Awaitable[Any]]:
    agent = _agent(url, model)

    async def run() -> str:
        events = agent.arun("How is the weather in Oslo?", stream=True)
        return "".join([getattr(event, "content", None) or "" async for event in events])

    return run


def builder(url: str) -> Callable[[], object]:
    from agno.models.openai import OpenAIChat

    chat = OpenAIChat(id="text", base_url=url, api_key="k")
    return lambda: Agent(model=chat, tools=[weather], instructions=INSTRUCTIONS, telemetry=False)


@dataclass
class InProcess(Model):
    """Answers at once; with `calls` it calls the tool first."""

    calls: int = 0

    async def ainvoke(self, messages: Any, *_: Any, **__: Any) -> ModelResponse:
        if messages[-1].role == "tool" or not self.calls:
            return ModelResponse(role="assistant", content=ANSWER)
        function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
        return ModelResponse(role="assistant", tool_calls=[{"id": "call_1", "type": "function", "function": function}])

    def invoke(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    invoke_stream = ainvoke_stream = _parse_provider_response = _parse_provider_response_delta = invoke


def in_process(calls: int) -> Callable[[], Awaitable[Any]]:
    agent = Agent(model=InProcess(id="m", calls=calls), tools=[weather], instructions=INSTRUCTIONS, telemetry=False)

    async def run() -> Any:
        return (await agent.arun("How is the weather in Oslo?")).content

    return run


def durable(path: str) -> Callable[[str], Awaitable[Any]]:
    """Return a function that runs once on a session, whose last twenty runs the model sees."""
    from agno.db.sqlite import SqliteDb

    agent = Agent(
        model=InProcess(id="m"),
        instructions=INSTRUCTIONS,
        telemetry=False,
        db=SqliteDb(db_file=path),
        add_history_to_context=True,
        num_history_runs=20,
    )

    async def run(session: str) -> Any:
        return (await agent.arun("How is the weather in Oslo?", session_id=session)).content

    return run


def fleeting() -> Callable[[str], Awaitable[Any]]:
    """Return what `durable` does, without a storage."""
    agent = Agent(model=InProcess(id="m"), instructions=INSTRUCTIONS, telemetry=False)

    async def run(_: str) -> Any:
        return (await agent.arun("How is the weather in Oslo?")).content

    return run
