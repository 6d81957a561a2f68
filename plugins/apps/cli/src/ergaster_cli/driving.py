"""Follow a run to its end: show it, ask what it asks, and say how to go on when it stops half-way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

from attrs import define, field

from ergaster.events import Decision, Event, RunCompleted, RunPaused
from ergaster_cli.deciding import Consent, decide
from ergaster_cli.exits import Exit
from ergaster_cli.screen import Screen
from ergaster_cli.views import View

__all__ = ["Driver", "Streams"]


class Streams(Protocol):
    """What of an agent the driver uses."""

    def resume_stream(self, run_id: str, decisions: Sequence[Decision] = (), *, force: bool = False) -> Iterator[Event]:
        """Continue a run."""


@define(kw_only=True)
class Driver:
    """Follows one run.

    Attributes:
        agent: Whose run it is.
        screen: Where to ask and to note.
        view: Shows the events.
        consent: What to do about questions of yes and no.
        resume_command: What a person types to continue the run, up to its id; empty when nothing was stored.
        run_id: The run, once it has begun.
        preface: Asked once, when the first event is here, for something to note; empty for nothing.
    """

    agent: Streams
    screen: Screen
    view: View
    consent: Consent = "ask"
    resume_command: str = ""
    run_id: str = field(default="")
    preface: Callable[[], str] = str

    def follow(self, events: Iterator[Event]) -> Exit:
        """Show *events*, answer questions, continue, and return the exit code."""
        while True:
            try:
                last = self._show_all(events)
                if not isinstance(last, RunPaused):
                    return Exit.OK if isinstance(last, RunCompleted) else Exit.FAILED
                decisions = decide(self.screen, last.pending, self.consent)
            except KeyboardInterrupt:
                self._say_how_to_resume("interrupted")
                return Exit.INTERRUPTED
            if decisions is None:
                self._say_how_to_resume("paused: it waits for a decision")
                return Exit.PAUSED
            events = self.agent.resume_stream(self.run_id, decisions)

    def _show_all(self, events: Iterator[Event]) -> Event | None:
        last: Event | None = None
        try:
            for last in events:
                self._begin(last)
                self.view.show(last)
        except KeyboardInterrupt as interrupt:
            # When Ctrl-C came between two events, the stream has not heard of it; closing it would cancel the run.
            if isinstance(events, Generator):
                events.throw(interrupt)
            raise
        return last

    def _begin(self, event: Event) -> None:
        self.run_id = self.run_id or event.run_id
        if text := self.preface():
            self.screen.note(text)
        self.preface = str

    def _say_how_to_resume(self, what: str) -> None:
        if not self.run_id:
            self.screen.warn(f"{what}; nothing was begun")
        elif not self.resume_command:
            self.screen.warn(f"{what}; the agent has no storage, so run {self.run_id} cannot be resumed")
        else:
            self.screen.warn(f"{what}; resume it with:\n  {self.resume_command} {self.run_id}")
