"""The contract of an orchestration strategy: how the members of a team work together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from ergaster.contracts.context import RunContext
from ergaster.contracts.runnable import Runnable
from ergaster.events import Event
from ergaster.messages import Message

__all__ = ["Strategy", "TeamView"]


class TeamView(Protocol):
    """A team as a strategy sees it."""

    @property
    def name(self) -> str:
        """The team's name."""

    @property
    def members(self) -> Mapping[str, Runnable]:
        """The members by their names, in order."""


class Strategy(ABC):
    """Decides who works on what, and in which order."""

    @abstractmethod
    def orchestrate(self, team: TeamView, task: tuple[Message, ...], context: RunContext) -> AsyncIterator[Event]:
        """Yield the members' events and, last, a `RunCompleted` with the team's answer.

        A member runs as a child: `member.astream(input, parent=context)`. Whatever was decided goes through
        `context.step`, so that a resumed run takes the same way.
        """
