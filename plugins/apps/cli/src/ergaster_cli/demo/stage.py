"""What the parts of the demo share: the folder, the database, the model server's count, and how a process is followed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

from ergaster.events import Event, ModelCompleted, Pending, RunCompleted, RunPaused
from ergaster.messages import ToolCall
from ergaster_cli.demo.processes import Child
from ergaster_cli.demo.store import Store
from ergaster_cli.exits import CommandFailed
from ergaster_cli.screen import Screen
from ergaster_cli.views import PlainView

__all__ = ["Outcome", "Stage", "text_arguments"]


@define
class _NoteSink:
    """Takes an answer and notes it beside the other notes."""

    screen: Screen
    _text: str = field(default="", init=False)

    def feed(self, text: str) -> None:
        self._text += text

    def finish(self) -> None:
        if self._text.strip():
            self.screen.note(f"  answer: {self._text.strip()}", "cyan")
        self._text = ""


@frozen
class Outcome:
    """What a process did, by its events."""

    events: tuple[Event, ...]
    code: int
    errors: str = ""

    @property
    def text(self) -> str:
        """The answer; empty when there is none."""
        return next((event.text for event in reversed(self.events) if isinstance(event, RunCompleted)), "")

    @property
    def pending(self) -> tuple[Pending, ...]:
        """What the run waits for."""
        last = self.events[-1] if self.events else None
        return last.pending if isinstance(last, RunPaused) else ()

    @property
    def model(self) -> str:
        """The model that answered."""
        return next((event.model for event in self.events if isinstance(event, ModelCompleted)), "")

    @property
    def run_id(self) -> str:
        """The run."""
        return self.events[0].run_id if self.events else ""


@frozen(kw_only=True)
class Stage:
    """Where the demo takes place.

    Attributes:
        folder: Has ergaster.toml, the database and the notes.
        files: The real files that the agent reads.
        store: The database, read from outside.
        screen: Where to tell what happens.
        says_yes: Approve without asking.
        count_requests: The model server's own count of requests; None when the model runs at a vendor.
        chance: Draws words and the moment of the kill.
    """

    folder: Path
    files: Path
    store: Store
    screen: Screen
    says_yes: bool
    count_requests: Callable[[], int] | None = None
    chance: random.Random = field(factory=random.SystemRandom)

    @property
    def notes(self) -> Path:
        """The folder that the writing tool may write to."""
        return self.folder / "notes"

    def start(self, *arguments: str) -> Child:
        """Start a process."""
        child = Child.start(self.folder, *arguments)
        self.screen.note(f"  process {child.process.pid}: ergaster run {' '.join(arguments)}")
        return child

    def follow(self, child: Child) -> Outcome:
        """Show a process's events until it ends; it is ended with us when we are interrupted.

        Raises:
            CommandFailed: If it ended without a single event: nothing of the demo can work then.
        """
        view = PlainView(self.screen, sink=_NoteSink(self.screen))
        events: list[Event] = []
        try:
            for event in child.events():
                events.append(event)
                view.show(event)
            code = child.wait()
        finally:
            if child.is_alive:
                child.kill()
        if not events:
            raise CommandFailed(f"a process ended with exit code {code} before it began: {child.errors.strip()}")
        return Outcome(tuple(events), code, child.errors)

    def run(self, *arguments: str) -> Outcome:
        """Start a process and follow it to its end."""
        return self.follow(self.start(*arguments))

    def settled_count(self) -> int | None:
        """Return the server's count of requests once it has stopped rising."""
        if self.count_requests is None:
            return None
        count = self.count_requests()
        for _ in range(100):
            time.sleep(0.1)
            before, count = count, self.count_requests()
            if before == count:
                break
        return count


def text_arguments(call: ToolCall) -> list[str]:
    """Return the arguments of a call that are text."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return []
    return [value for value in arguments.values() if isinstance(value, str)] if isinstance(arguments, dict) else []
