"""Results in columns: aligned for people, one line for each row, so that a pipe can cut and count them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from ergaster_cli.screen import Screen
from ergaster_cli.visible import escape_line

__all__ = ["print_json", "print_table"]


def print_table(screen: Screen, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print *rows* in columns under *headers*; on a terminal the last column is cut at its width."""
    lines = [tuple(headers), *(tuple(escape_line(str(cell)) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers) - 1)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        text = "  ".join([*cells, line[-1]]).rstrip()
        screen.line(text[: screen.width] if screen.is_live else text)


def print_json(screen: Screen, value: Mapping[str, object] | Sequence[object]) -> None:
    """Print a value as indented JSON."""
    screen.line(json.dumps(value, indent=2, ensure_ascii=False, default=str))
