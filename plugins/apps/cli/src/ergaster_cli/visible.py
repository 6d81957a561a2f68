"""Text of models and tools, made harmless for a terminal.

What a model or a tool writes is not trusted: an escape sequence could recolour, move or retitle the terminal, and a
bidirectional override could make a command read as another one. On a terminal such characters are shown as escapes.
"""

from __future__ import annotations

import json
import unicodedata

__all__ = ["escape", "escape_line", "excerpt", "show_arguments"]

_JOINERS = "\u200c\u200d"
"""Join emoji and letters of several scripts; they reorder and hide nothing."""


def _is_harmless(character: str, allowed: str) -> bool:
    if character.isprintable() or character in allowed:
        return True
    category = unicodedata.category(character)
    return category == "Zs" or (category == "Cn" and 0x1F000 <= ord(character) <= 0x1FFFF)  # emoji newer than this Python


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape(text: str, allowed: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if _is_harmless(each, allowed) else _escaped(each) for each in text)


def escape(text: str) -> str:
    """Return *text* with control, bidirectional and invisible characters as escapes; lines and tabs stay."""
    return _escape(text, "\n\t" + _JOINERS)


def escape_line(text: str) -> str:
    """Return *text* as one line: as `escape`, with line breaks and tabs shown as escapes, too."""
    shown = text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return _escape(shown, _JOINERS)


def excerpt(text: str, width: int) -> str:
    """Return the beginning of *text* as one line of at most *width* characters, with a mark where it was cut."""
    line = escape_line(text[: width + 1])
    return line if len(line) <= width and len(text) <= width else line[: max(width - 1, 1)] + "…"


class _RepeatedKeyError(Exception):
    """A JSON object names one key twice: showing either would hide the other."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKeyError
    return found


def show_arguments(arguments: str) -> str:
    """Return the arguments of a call for a person to approve: whole, indented, nothing hidden.

    Every character that a terminal would not print is a JSON escape, so the text shown is equal, as JSON, to the
    arguments that run. Text that is no JSON, or that names a key twice, is shown as it is, escaped.
    """
    try:
        value = json.loads(arguments, object_pairs_hook=_unique)
    except (ValueError, RecursionError, _RepeatedKeyError):
        return escape_line(arguments)
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(each if each == "\n" or each.isprintable() else json.dumps(each)[1:-1] for each in text)
