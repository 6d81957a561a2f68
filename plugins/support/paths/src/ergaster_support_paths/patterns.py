"""Patterns such as `**/*.md`, matched name by name in bounded time."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from attrs import frozen

from ergaster.errors import UnsafePath, Unsupported
from ergaster_support_paths.names import show_path

__all__ = ["Pattern", "parse_pattern"]

_MAX_CHARACTERS = 512
_MAX_SEGMENTS = 32
_MAX_STARS = 8


@frozen
class Pattern:
    """A pattern, split at its separators.

    Attributes:
        segments: One for each name; `**` stands for any number of folders, none included.
    """

    segments: tuple[str, ...]

    @property
    def depth(self) -> int | None:
        """How many names a match has; None if any number."""
        return None if "**" in self.segments else len(self.segments)

    def matches(self, names: Sequence[str]) -> bool:
        """Say whether the path made of *names* matches; upper and lower case differ."""
        # One row of the classic table: reachable[i] says that the first i segments cover the names read so far.
        reachable = _skip_empty_folders(self.segments, [True] + [False] * len(self.segments))
        for name in names:
            following = [False] * len(reachable)
            for index, segment in enumerate(self.segments):
                if segment == "**":
                    following[index + 1] = following[index + 1] or reachable[index] or reachable[index + 1]
                elif reachable[index] and fnmatchcase(name, segment):
                    following[index + 1] = True
            reachable = _skip_empty_folders(self.segments, following)
        return reachable[-1]


def _skip_empty_folders(segments: Sequence[str], reachable: list[bool]) -> list[bool]:
    for index, segment in enumerate(segments):
        if segment == "**" and reachable[index]:
            reachable[index + 1] = True
    return reachable


def parse_pattern(pattern: str) -> Pattern:
    """Read a pattern of `*`, `?`, `[abc]` inside a name, and `**` for any number of folders.

    Raises:
        UnsafePath: If it is empty, absolute, climbs with `..`, holds a backslash or a NUL, or is longer than 512
            characters, 32 names, or 8 stars in one name.
        Unsupported: If it holds braces such as `{a,b}`; use one pattern for each alternative.
    """
    shown = show_path(pattern)
    if pattern.startswith(("/", "~")) or "\\" in pattern or "\0" in pattern:
        raise UnsafePath(f"the pattern {shown} does not stay below the root; write it relative, as '**/*.md'")
    if "{" in pattern and "}" in pattern:
        raise Unsupported(f"the pattern {shown} uses braces, which are not known here; use one pattern for each alternative")
    segments = tuple(segment for segment in pattern.split("/") if segment not in {"", "."})
    if ".." in segments:
        raise UnsafePath(f"the pattern {shown} climbs with '..'; write it relative to the root, as '**/*.md'")
    if not segments:
        raise UnsafePath(f"the pattern {shown} is empty; write '**/*' for everything")
    is_long = len(pattern) > _MAX_CHARACTERS or len(segments) > _MAX_SEGMENTS
    if is_long or any(segment != "**" and segment.count("*") > _MAX_STARS for segment in segments):
        bounds = f"{_MAX_CHARACTERS} characters, {_MAX_SEGMENTS} names, {_MAX_STARS} stars in a name"
        raise UnsafePath(f"the pattern {shown} is too long; use at most {bounds}")
    return Pattern(segments)
