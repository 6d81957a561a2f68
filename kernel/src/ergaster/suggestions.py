"""Nearest names, for errors that say what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest", "shorten"]


def nearest(word: str, known: Iterable[str], *, limit: int = 3) -> tuple[str, ...]:
    """Return up to *limit* of the *known* names that look like *word*, best first."""
    from difflib import get_close_matches

    by_folded = {name.lower().replace("-", "_"): name for name in sorted(known, reverse=True)}
    matches = get_close_matches(word[:100].lower().replace("-", "_"), by_folded, n=limit, cutoff=0.6)
    return tuple(by_folded[match] for match in matches)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest of the *known* names, or nothing when none is near."""
    found = nearest(word, known, limit=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def shorten(text: str, limit: int = 60) -> str:
    """Return *text* cut to *limit* characters, so that a hostile name does not fill an error."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
