"""The vendor's client as it is: `create()`, and a loop by hand for tools."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
COLD = """
import sys
from openai import AsyncOpenAI
client = AsyncOpenAI(base_url=sys.argv[1], api_key="k")
tools = [{"type": "function", "function": {"name": "weather", "description": "Tell the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
async def first():
    await client.chat.completions.create(model="text", messages=[{"role": "user", "content": "Hi"}], tools=tools)
"""


async def weather(city: str) -> str:
    return f"It is mild in {city}."


def runner(url: str, model: str) -> Callable[[], Awaitable[Any]]:
    """Return a function that runs once: a question, tool calls until there is an answer."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="k", max_retries=0)

    async def run() -> str:
        messages: list[Any] = [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "How is the weather in Oslo?"},
        ]
        while True:
            reply = await client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
            message = reply.choices[0].message
            if not message.tool_calls:
                return message.content or ""
            messages.append(message.model_dump(exclude_none=True))
            results = await asyncio.gather(*(weather(**json.loads(call.function.arguments)) for call in message.tool_calls))
            for call, result in zip(message.tool_calls, results, strict=True):
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    return run


def streamer(url: str, model: str) -> Callable[[], Awaitable[Any]]:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="k", max_retries=0)

    async def run() -> str:
        messages: list[Any] = [{"role": "user", "content": "How is the weather in Oslo?"}]
        chunks = await client.chat.completions.create(model=model, messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    return run
