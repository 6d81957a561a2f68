"""Show Markdown while it arrives: finished blocks stay, the block under way is drawn again and again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import define, field

from ergaster_cli.visible import escape

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

__all__ = ["MarkdownSink", "split_blocks"]

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def split_blocks(text: str) -> tuple[str, str]:
    """Return the finished blocks of *text* and what is still under way.

    A block ends with an empty line outside a code fence, or with the fence's end.
    """
    fence = ""
    end = position = 0
    for line in text.splitlines(keepends=True):
        position += len(line)
        if not line.endswith("\n"):
            break
        if match := _FENCE.match(line):
            if not fence:
                fence = match.group(1)
            elif match.group(1).startswith(fence):
                fence, end = "", position
        elif not fence and not line.strip():
            end = position
    return text[:end], text[end:]


@define
class MarkdownSink:
    """Takes the answer's text and draws it as Markdown on a terminal's standard output."""

    console: Console
    _text: str = field(default="", init=False)
    _live: Live | None = field(default=None, init=False)

    def feed(self, text: str) -> None:
        """Take a piece and draw."""
        done, self._text = split_blocks(self._text + text)
        if done.strip():
            self._draw(done)
            self._close()
        if self._text.strip():
            self._draw(self._text)

    def finish(self) -> None:
        """Draw what is left and end the block."""
        if self._text.strip():
            self._draw(self._text)
        self._text = ""
        self._close()

    def _draw(self, text: str) -> None:
        from rich.live import Live
        from rich.markdown import Markdown

        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False, vertical_overflow="ellipsis")
            self._live.start()
        self._live.update(Markdown(escape(text)), refresh=True)

    def _close(self) -> None:
        if self._live is not None:
            self._live.vertical_overflow = "visible"
            self._live.refresh()
            self._live.stop()
        self._live = None
