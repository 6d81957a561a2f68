"""Was any finished model call paid for twice? Journals before and after, beside the model server's own count."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ergaster.codec import read_event
from ergaster.contracts.storage import Entry
from ergaster.events import Event, ModelCompleted, RunCompleted, ToolStarted

__all__ = ["Counts", "Evidence", "events_of"]


def events_of(entries: Sequence[Entry]) -> list[Event]:
    """Return the events of journal entries."""
    return [read_event(entry.data) for entry in entries]


@frozen(kw_only=True)
class Counts:
    """Requests that the model server says it took: before the run, after the kill, after the resumed run's end."""

    before: int
    killed: int
    after: int


@frozen(kw_only=True)
class Evidence:
    """What is known of a run that was killed and resumed.

    Attributes:
        at_kill: The journal as it lay on disk when the process was dead.
        at_end: The journal when the resumed run had ended.
        counts: The server's own count; None when the model runs at a vendor, whose count nobody here can read.
    """

    at_kill: tuple[Entry, ...]
    at_end: tuple[Entry, ...]
    counts: Counts | None = None

    @property
    def paid_before(self) -> int:
        """Model calls that were finished when the process died."""
        return _count(self.at_kill, ModelCompleted)

    @property
    def paid_after(self) -> int:
        """Model calls that the resumed run finished."""
        return _count(self.at_end, ModelCompleted) - self.paid_before

    @property
    def was_in_the_middle(self) -> bool:
        """The process died with a finished model call behind it and the run's end before it."""
        return self.paid_before > 0 and not _count(self.at_kill, RunCompleted)

    @property
    def is_complete(self) -> bool:
        """The resumed run came to its end."""
        return _count(self.at_end, RunCompleted) == 1

    @property
    def kept_every_entry(self) -> bool:
        """What was on disk at the kill is, byte by byte, the beginning of the final journal."""
        return self.at_end[: len(self.at_kill)] == self.at_kill

    @property
    def lost_in_flight(self) -> int:
        """Requests that the server had taken when the process died and that no entry answers."""
        return self.counts.killed - self.counts.before - self.paid_before if self.counts else 0

    @property
    def paid_once(self) -> bool:
        """The server took one request for each entry, and at most the one in flight at the kill besides."""
        if self.counts is None:
            return self.kept_every_entry
        return self.counts.after - self.counts.killed == self.paid_after and self.lost_in_flight in (0, 1)

    def repeated_calls(self) -> list[str]:
        """Return the names of tool calls that began more than once."""
        seen: dict[str, int] = {}
        names: dict[str, str] = {}
        for event in events_of(self.at_end):
            if isinstance(event, ToolStarted):
                seen[event.call.id] = seen.get(event.call.id, 0) + 1
                names[event.call.id] = event.call.name
        return [names[call] for call, times in seen.items() if times > 1]


def _count(entries: Sequence[Entry], kind: type[Event]) -> int:
    return sum(isinstance(event, kind) for event in events_of(entries))
