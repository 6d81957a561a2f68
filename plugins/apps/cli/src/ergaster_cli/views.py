"""How the events of a run look: as an answer with notes beside it, or as JSON lines."""

from __future__ import annotations

import json
from typing import Protocol

from attrs import define, field

from ergaster.events import (
    Event,
    ModelStarted,
    RunCancelled,
    RunCompleted,
    RunFailed,
    StepRestarted,
    TextDelta,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
    ToolStarted,
)
from ergaster.messages import ToolCall, ToolResult
from ergaster_cli.screen import Screen
from ergaster_cli.visible import escape_line, excerpt

__all__ = ["JsonView", "LineSink", "PlainView", "TextSink", "View", "describe_call"]


class View(Protocol):
    """Shows a run."""

    def show(self, event: Event) -> None:
        """Show one event."""


class TextSink(Protocol):
    """Takes the answer's text as it arrives."""

    def feed(self, text: str) -> None:
        """Take a piece."""

    def finish(self) -> None:
        """End what was fed so far: a line, a block."""


def describe_call(call: ToolCall, width: int) -> str:
    """Return a call as one line: `name(key="value", …)`."""
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict):
        text = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
    else:
        text = call.arguments
    return f"{escape_line(call.name)}({excerpt(text, width)})"


@define
class JsonView:
    """One event per line on standard output, as the journal writes it."""

    screen: Screen

    def show(self, event: Event) -> None:
        """Write the event."""
        from ergaster.codec import write_event

        self.screen.out.write(write_event(event) + "\n")
        self.screen.out.flush()


@define
class LineSink:
    """Writes text as it comes, and ends it with one line break."""

    screen: Screen
    _is_open: bool = field(default=False, init=False)

    def feed(self, text: str) -> None:
        """Write a piece."""
        if text:
            self.screen.write(text)
            self._is_open = not text.endswith("\n")

    def finish(self) -> None:
        """End the line."""
        if self._is_open:
            self.screen.write("\n")
        self._is_open = False


@define
class PlainView:
    """The answer on standard output, tool calls and trouble on standard error.

    On a terminal the text is shown as it arrives. Into a pipe goes the final answer alone, in one piece: pieces of a
    reply that was cut and asked for again could not be taken back.

    Attributes:
        screen: Where to write.
        sink: Takes the text on a terminal.
    """

    screen: Screen
    sink: TextSink = field(kw_only=True)
    _calls: dict[str, ToolCall] = field(factory=dict, init=False)
    _shown: str = field(default="", init=False)

    @sink.default
    def _plain_lines(self) -> TextSink:
        return LineSink(self.screen)

    def show(self, event: Event) -> None:
        """Show what a person wants to know of the event."""
        match event:
            case TextDelta():
                self._text(event.text)
            case ModelStarted():
                self._shown = ""
            case StepRestarted():
                self._restart()
            case ToolStarted():
                self._calls[event.call.id] = event.call
            case ToolProgress():
                self._note(event, f"{event.name}: {excerpt(json.dumps(event.value, ensure_ascii=False), self.screen.width)}")
            case ToolCompleted() | ToolFailed():
                self._tool(event, event.result, event.duration)
            case RunCompleted():
                self._completed(event)
            case RunFailed():
                self.sink.finish()
                self.screen.warn(f"error: {event.error.type}: {event.error.message}", "red")
            case RunCancelled():
                self.sink.finish()
                self.screen.warn(f"cancelled {event.reason}".rstrip())
            case _:
                pass

    def _text(self, text: str) -> None:
        self._shown += text
        if self.screen.is_live:
            self.sink.feed(text)

    def _restart(self) -> None:
        self._shown = ""
        if self.screen.is_live:
            self.sink.finish()
            self.screen.note("(the reply was cut; it begins again)")

    def _tool(self, event: ToolCompleted | ToolFailed, result: ToolResult, duration: float) -> None:
        has_unicode = self.screen.has_unicode()
        mark, arrow = ("✓", "→") if has_unicode else ("+", "->")
        if isinstance(event, ToolFailed):
            mark = "✗" if has_unicode else "x"
        room = self.screen.width - len(result.name) - 16
        call = self._calls.pop(result.call_id, None) or ToolCall(result.call_id, result.name)
        shown = describe_call(call, max(room // 2, 20))
        rest = max(self.screen.width - len(shown) - 16, 20)
        self._note(event, f"{mark} {shown} {arrow} {excerpt(result.content, rest)}  {duration:.2f}s")

    def _note(self, event: Event, text: str) -> None:
        if self.screen.is_live:
            self.sink.finish()
        inside = " > ".join(event.path[1:])
        self.screen.note(f"{escape_line(inside)}: {text}" if inside else text)

    def _completed(self, event: RunCompleted) -> None:
        if event.output is not None and not isinstance(event.output, str):
            if not self.screen.is_live or not self._shown:
                self.sink.feed(json.dumps(event.output, ensure_ascii=False))
        elif not self.screen.is_live or self._shown != event.text:
            self.sink.feed(event.text)
        self.sink.finish()
