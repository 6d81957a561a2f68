"""Text that every SQL engine stores, and sorts as Python does."""

from __future__ import annotations

import re

__all__ = ["sortable_text"]

_SPECIAL = re.compile("[\x00\x01\ud7ff-\udfff]")


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 2:
        return "\x01" + chr(code + 1)
    return "\ud7ff" + chr(code - 0xD7FF + 1)


def sortable_text(text: str) -> str:
    """Return *text* without NUL and lone surrogates, so that results differ and sort exactly as the originals do.

    Engines refuse both characters, or cut the text at them. Each special character becomes two, the first of which
    keeps its place in the order: no information is lost and `a < b` stays true.
    """
    return _SPECIAL.sub(_escape, text)
