"""Patterns such as `**/*.md`, matched name by name in bounded time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate

from attrs import field, frozen

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
    _matchers: tuple[Callable[[str], object] | None, ...] = field(init=False, eq=False, repr=False)

    @_matchers.default
    def _compile(self) -> tuple[Callable[[str], object] | None, ...]:
        return tuple(None if segment == "**" else re.compile(translate(segment)).match for segment in self.segments)

    @property
    def depth(self) -> int | None:
        """How many names a match has; None if any number."""
        return None if "**" in self.segments else len(self.segments)

    def matches(self, names: Sequence[str]) -> bool:
        """Say whether the path made of *names* matches; upper and lower case differ."""
        progress = self.begin()
        for name in names:
            progress = self.advance(progress, name)
        return self.is_match(progress)

    def begin(self) -> int:
        """Return how far the empty path goes: bit *i* says that the first *i* segments cover it."""
        return self._skip_folders(1)

    def advance(self, progress: int, name: str) -> int:
        """Return how far a path goes that has one more name; 0 if nothing below it can match."""
        following = 0
        for index, matcher in enumerate(self._matchers):
            if matcher is None:
                if progress >> index & 3:  # begins here, or goes on
                    following |= 2 << index
            elif progress >> index & 1 and matcher(name):
                following |= 2 << index
        return self._skip_folders(following)

    def is_match(self, progress: int) -> bool:
        """Say whether a path that goes so far matches."""
        return bool(progress >> len(self.segments))

    def _skip_folders(self, progress: int) -> int:
        for index, matcher in enumerate(self._matchers):
            if matcher is None and progress >> index & 1:
                progress |= 2 << index
        return progress


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
