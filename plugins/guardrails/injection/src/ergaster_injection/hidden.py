"""Characters that a person does not see and a model reads."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

__all__ = ["HIDDEN_TEXT", "Cleaned", "clean"]

HIDDEN_TEXT: Final = "[hidden text removed]"

_JOINERS: Final = "\u200c\u200d\u200e\u200f"
_TAGS: Final = "\U000e0000-\U000e007f"
_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_ALWAYS: Final = (
    "\u00ad\u061c\u180e\u200b\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)


def _flag(region: str) -> str:
    return "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"


_FLAGS: Final = "|".join(map(_flag, ("gbeng", "gbsct", "gbwls")))
_RUN: Final = re.compile(f"({_FLAGS})|[{_JOINERS}{_TAGS}{_ALWAYS}{_SELECTORS}]+")
_TAG: Final = re.compile(f"[{_TAGS}]")
_SELECTOR: Final = re.compile(f"[{_SELECTORS}]")


@frozen
class Cleaned:
    """A text without hidden characters.

    Attributes:
        text: What is left; a note stands where hidden characters spelled a text of their own.
        removed: How many were removed.
        hidden: The text that characters of the tag plane spelled.
    """

    text: str
    removed: int
    hidden: str


def clean(text: str) -> Cleaned:
    """Remove hidden characters; joiners stay where writing needs them, and so do the flags of regions."""
    removed = 0
    hidden: list[str] = []

    def replace(match: re.Match[str]) -> str:
        nonlocal removed
        run = match[0]
        if match[1]:
            return run
        selectors = _SELECTOR.findall(run)
        if len(selectors) > 1 or _TAG.search(run):  # one selector belongs to the character before it; more spell bytes
            hidden.extend(chr(ord(each) - 0xE0000) for each in run if 0xE0020 <= ord(each) < 0xE007F)
            removed += len(run)
            return HIDDEN_TEXT
        around = text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
        stays = {*selectors, *("" if around.isascii() else _JOINERS)}
        kept = "".join(each for each in run if each in stays)
        removed += len(run) - len(kept)
        return kept

    return Cleaned(_RUN.sub(replace, text), removed, "".join(hidden))
