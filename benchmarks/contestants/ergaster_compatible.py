"""Ergaster through its own transport: the plugin `openai_compatible`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from contestants.ergaster_agents import (
    INSTRUCTIONS,
    agent_with,
    cold,
    durable,
    fleeting,
    in_process,
    runner_of,
    streamer_of,
    weather,
)

__all__ = ["COLD", "builder", "durable", "fleeting", "in_process", "runner", "streamer"]

MODEL = {"use": "openai_compatible"}
COLD = cold({"use": "openai_compatible:text"})


def runner(url: str, model: str) -> Callable[[], Awaitable[Any]]:
    return runner_of(agent_with(MODEL, url, model))


def streamer(url: str, model: str) -> Callable[[], Awaitable[Any]]:
    return streamer_of(agent_with(MODEL, url, model))


def builder(_: str) -> Callable[[], object]:
    from ergaster import Agent

    return lambda: Agent(model="openai_compatible:text", tools=[weather], instructions=INSTRUCTIONS)
