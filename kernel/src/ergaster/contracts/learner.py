"""The contract of a learning store, and the record that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from attrs import field, frozen

from ergaster.contracts.context import RunContext, Turn
from ergaster.contracts.toolkit import Tool
from ergaster.messages import JsonObject

__all__ = ["Change", "Item", "Learner", "Mode", "Recollection"]

Mode: TypeAlias = Literal["always", "agentic", "propose", "off"]


@frozen(kw_only=True)
class Item:
    """Something learned.

    Attributes:
        id: Its id.
        text: What was learned, in words.
        data: The same as data, when it has a schema.
        run_id: The run it came from.
        confidence: 0 to 1.
        valid_from: From when it holds.
        valid_to: Until when; None while it holds. A contradicted item is ended, never overwritten.
        scope: `user:<id>`, `agent:<name>`, `session:<id>`, `tenant`, or a named namespace.
        uses: How often it was recalled; `helped` how often that helped.
    """

    id: str
    text: str
    data: JsonObject = field(factory=dict)
    run_id: str | None = None
    confidence: float = 1.0
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    scope: str = "tenant"
    uses: int = 0
    helped: int = 0


@frozen
class Recollection:
    """What a store remembers for a run: text for the prompt, and the items that it rests on."""

    text: str = ""
    items: tuple[Item, ...] = ()


@frozen
class Change:
    """What a store did, or proposes to do, with an item."""

    action: Literal["add", "update", "supersede", "forget"]
    item: Item
    replaces: str | None = None


class Learner(ABC):
    """A store of learnings of one kind."""

    name: str

    @abstractmethod
    async def recall(self, context: RunContext) -> Recollection:
        """Return what matters for the run, inside the store's token budget."""

    @abstractmethod
    async def observe(self, turn: Turn) -> Sequence[Change]:
        """Learn from a finished turn and return what changed, or would change in the mode `propose`."""

    def tools(self, mode: Mode) -> Sequence[Tool]:
        """Return the tools that the model gets in that mode."""
        return ()

    def instructions(self, mode: Mode) -> str:
        """Return what the model should know about the store in that mode."""
        return ""

    async def curate(self) -> Sequence[Change]:
        """Prune and merge; return what was done."""
        return ()
