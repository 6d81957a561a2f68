"""Shows how far a long preparation is, such as the download of a model on first use.

Plugins report on the logger `ergaster.progress`; each record carries a mapping `progress` with `what`, `done`, `total`
and `unit`. On a terminal bytes become a bar, elsewhere a line for each tenth.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ergaster_cli.screen import Screen

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["show_progress"]

_CHANNEL = "ergaster.progress"


@contextmanager
def show_progress(screen: Screen) -> Iterator[None]:
    """Show progress on standard error for the length of a block; silent when the screen is quiet."""
    logger = logging.getLogger(_CHANNEL)
    handler = _ProgressHandler(screen)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        handler.close()


class _ProgressHandler(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.INFO)
        self._screen = screen
        self._bar: tuple[Progress, TaskID, str] | None = None
        self._said: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        progress: Mapping[str, Any] | None = getattr(record, "progress", None)
        if progress is None or self._screen.is_quiet:
            return
        what, done, total = str(progress["what"]), int(progress["done"]), int(progress["total"])
        if progress.get("unit") == "bytes" and total and self._screen.console.is_terminal:
            self._draw(what, done, total)
        else:
            self._say(what, done, total)

    def close(self) -> None:
        self._end_bar()
        super().close()

    def _draw(self, what: str, done: int, total: int) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        if self._bar is not None and self._bar[2] != what:
            self._end_bar()
        if self._bar is None:
            columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            bar = Progress(*columns, TimeRemainingColumn(), console=self._screen.console, transient=True)
            bar.start()
            self._bar = bar, bar.add_task(what, total=total), what
        self._bar[0].update(self._bar[1], completed=done)
        if done >= total:
            self._end_bar()

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar[0].stop()
        self._bar = None

    def _say(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if self._said.get(what, -1) < tenth:
            self._said[what] = tenth
            self._screen.note(f"{what}: {10 * tenth} %" if total else what)
