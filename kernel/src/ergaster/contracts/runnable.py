"""The one protocol that agents, teams, workflows and remote agents share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from ergaster.contracts.context import RunContext
from ergaster.events import Decision, Event
from ergaster.messages import Message, Part

__all__ = ["Input", "Runnable"]

Input: TypeAlias = str | Message | Part | Sequence[Message | Part] | Mapping[str, object] | object
"""A text, parts, messages, or a value that fits the runnable's input schema."""


@runtime_checkable
class Runnable(Protocol):
    """Something that turns an input into a stream of events, can be resumed and can be cancelled.

    The stream ends with exactly one terminal event. Closing the iterator early, or cancelling the task that reads it,
    interrupts the run: its work stops, and with a storage it can be resumed; only `acancel` ends it. A nested run
    receives its parent's context: it shares its limits and extends its path.
    """

    @property
    def name(self) -> str:
        """Its name among others."""

    @property
    def description(self) -> str:
        """What it is good for, for a model that chooses among several."""

    def astream(
        self,
        input: Input,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        run_id: str | None = None,
        parent: RunContext | None = None,
    ) -> AsyncIterator[Event]:
        """Run on *input* and yield what happens."""

    def aresume_stream(
        self, run_id: str, decisions: Sequence[Decision] = (), *, force: bool = False, parent: RunContext | None = None
    ) -> AsyncIterator[Event]:
        """Apply *decisions*, continue from the last finished step, and yield what happens from there."""

    async def acancel(self, run_id: str, reason: str = "") -> bool:
        """Cancel; after it returns no step starts. Say whether the run was still open."""
