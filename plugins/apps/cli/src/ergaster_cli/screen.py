"""Where a command writes: the answer to standard output, everything else to standard error."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from attrs import field, frozen

from ergaster_cli.visible import escape

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["STDIN", "Screen", "prepare_streams"]

STDIN = "\0stdin"
"""What a lone `-` on the command line becomes; no argument of a process can be equal to it."""


def prepare_streams() -> None:
    """Make standard output and error take every text: what a code page cannot show is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _has_reader() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


@frozen(kw_only=True)
class Screen:
    """The standard streams, and what they are.

    Attributes:
        is_live: Standard output is a terminal: the answer is shown as it arrives, escaped.
        can_ask: Somebody sits at the terminal and can answer a question.
        is_quiet: Only the answer and questions are shown.
    """

    is_live: bool = field(factory=_is_terminal)
    can_ask: bool = field(factory=_has_reader)
    is_quiet: bool = False
    _console: list[Console] = field(factory=list, init=False, repr=False)

    @property
    def out(self) -> TextIO:
        """Standard output."""
        return sys.stdout

    @property
    def console(self) -> Console:
        """The console on standard error; it keeps to NO_COLOR, TERM and the terminal's width."""
        if not self._console:
            from rich.console import Console

            self._console.append(Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True))
        return self._console[0]

    @property
    def width(self) -> int:
        """Columns of the terminal, at least 40."""
        return max(self.console.width, 40)

    def write(self, text: str) -> None:
        """Write a piece of the answer; on a terminal it is escaped."""
        self.out.write(escape(text) if self.is_live else text)
        self.out.flush()

    def line(self, text: str = "") -> None:
        """Write a line of a command's result."""
        self.write(text + "\n")

    def note(self, text: str, style: str = "dim") -> None:
        """Tell something by the way, on standard error; silent when quiet."""
        if not self.is_quiet:
            self.warn(text, style)

    def warn(self, text: str, style: str = "") -> None:
        """Tell something that has to be read, on standard error."""
        self.console.print(escape(text), style=style or None)

    def has_unicode(self) -> bool:
        """Whether standard error can show more than ASCII."""
        return (sys.stderr.encoding or "").lower().replace("-", "") in ("utf8", "utf16") and os.environ.get("TERM") != "dumb"
