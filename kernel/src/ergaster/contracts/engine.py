"""The contract of an engine: durable execution of named steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from ergaster.messages import Json, JsonObject

__all__ = ["Engine", "StepFunction"]

StepFunction: TypeAlias = Callable[[JsonObject], Awaitable[Json]]


class Engine(ABC):
    """Runs (registered name, JSON payload) pairs durably; it never sees a workflow's classes."""

    @abstractmethod
    async def open(self, steps: Mapping[str, StepFunction]) -> None:
        """Connect, with the functions that names stand for in this process."""

    @abstractmethod
    async def start(self, name: str, payload: JsonObject, *, id: str) -> None:
        """Start a durable execution; an id that exists is no error and starts nothing."""

    @abstractmethod
    async def signal(self, id: str, name: str, payload: Json) -> None:
        """Deliver a value to an execution that waits for it, or will."""

    @abstractmethod
    async def recover(self) -> int:
        """Continue executions whose process is gone and return how many."""

    @abstractmethod
    async def schedule(self, name: str, payload: JsonObject, *, cron: str, id: str) -> None:
        """Start an execution at each time of a cron expression, once, on whichever process is alive."""

    @abstractmethod
    async def close(self) -> None:
        """Stop taking work and disconnect."""
