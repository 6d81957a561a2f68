"""The contract of an interface: a protocol that a server mounts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from ergaster.contracts.runnable import Runnable

__all__ = ["AsgiApp", "Interface"]

AsgiApp: TypeAlias = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]
"""An ASGI 3 application; the `Any`s are the specification's own untyped messages."""


class Interface(ABC):
    """Speaks one protocol over the same runnables and events as every other."""

    path: str
    """Where the server mounts it, such as `/a2a`."""

    @abstractmethod
    def app(self, runnables: Mapping[str, Runnable]) -> AsgiApp:
        """Return the application that serves *runnables* by name; the server has authorised the request."""
