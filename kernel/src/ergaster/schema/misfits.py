"""What is said about a value that does not fit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from contextvars import ContextVar
from functools import reduce
from typing import TypeAlias

from ergaster.errors import InvalidInput
from ergaster.messages import Json

__all__ = ["MAX_DEPTH", "MAX_PROBLEMS", "Misfit", "at", "check_depth", "found", "hides_values", "invalid", "listed", "misfit"]

MAX_DEPTH = 100
"""Levels of nesting that a value may have; what is deeper is refused before anything recurses into it."""

MAX_PROBLEMS = 50
"""Problems that are told of one value; a loader stops looking for more, however long the value is."""

SHOWN = 80
"""Characters of a value that a sentence shows."""

Problem: TypeAlias = tuple[list[str | int], str]
"""Where, innermost step first, and what."""

hides_values: ContextVar[bool] = ContextVar("ergaster_hides_values", default=False)
"""Whether sentences say only what sort of value was found: what people write by hand may hold keys and passwords."""

_BARE_KEY = re.compile(r"[^\W\d][\w-]*")
_SORTS = {str: "text", bool: "a boolean", int: "an integer", float: "a number"}


class Misfit(Exception):
    """A value that does not fit, on its way up to the adapter: each container adds its step to the paths."""

    def __init__(self, text: str = "", *, problems: list[Problem] | None = None) -> None:
        super().__init__(text)
        self.problems: list[Problem] = [([], text)] if problems is None else problems

    def below(self, step: str | int) -> list[Problem]:
        """Return the problems as seen from the container."""
        for steps, _ in self.problems:
            steps.append(step)
        return self.problems


def found(value: Json) -> str:
    """Name a JSON value in a sentence, never at length."""
    if hides_values.get() and isinstance(value, str | int | float):
        if isinstance(value, float) and not math.isfinite(value):
            return "a number that is not finite"
        return next(sort for kind, sort in _SORTS.items() if isinstance(value, kind))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the text {value[:SHOWN]!r}" + ("…" if len(value) > SHOWN else "")
    if isinstance(value, int):
        return f"the number {int(value)}" if value.bit_length() < 200 else "a number of hundreds of digits"
    if isinstance(value, float):
        return f"the number {value!r}"
    if isinstance(value, list | tuple):
        return "an empty array" if not value else f"an array of {len(value)}"
    return "an object" if isinstance(value, dict) else f"a Python {type(value).__name__}"


def misfit(value: Json, expected: str) -> Misfit:
    """Return the error for a value that is something else than expected."""
    hint = ""
    if isinstance(value, str) and "text" not in expected and _looks_like_json(value):
        hint = "; write the value itself, without quotes around it"
    return Misfit(f"found {found(value)}, expected {expected}{hint}")


def _looks_like_json(text: str) -> bool:
    if len(text) > 10_000:
        return text.lstrip()[:1] in {"[", "{"}
    try:
        return not isinstance(json.loads(text.lower()), str)
    except (ValueError, RecursionError):
        return text.strip().lower() == "none"


def listed(words: Sequence[str], *, last: str = "or", limit: int = 30) -> str:
    """Join words to `a, b or c`."""
    shown = list(words[:limit])
    if len(words) > limit:
        return ", ".join([*shown, f"… ({len(words) - limit} more)"])
    return ", ".join(shown) if len(shown) < 2 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"


def at(path: str, step: str | int) -> str:
    """Return the path of a step below *path*, such as `filters.tags[2]`."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if not _BARE_KEY.fullmatch(step):
        return f"{path}[{step[:SHOWN]!r}]"
    return f"{path}.{step}" if path else step


def invalid(error: Misfit, root: str, summary: str) -> InvalidInput:
    """Turn a misfit into the error that users see: all problems, each `path: what was found, what is expected`."""
    problems = [f"{reduce(at, steps[::-1], '') or root}: {text}" for steps, text in error.problems[:MAX_PROBLEMS]]
    if len(error.problems) > MAX_PROBLEMS:
        problems.append(f"{root}: more problems than these {MAX_PROBLEMS}; correct these first")
    return InvalidInput(summary, problems=problems)


def check_depth(value: Json, limit: int = MAX_DEPTH) -> None:
    """Raise a misfit when a value is nested more than *limit* levels deep; it does not recurse itself."""
    level: list[Json] = [value]
    depth = 0
    while level:
        depth += 1
        below: list[Json] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(child for child in item.values() if isinstance(child, dict | list | tuple))
            elif isinstance(item, list | tuple):
                below.extend(child for child in item if isinstance(child, dict | list | tuple))
        if below and depth >= limit:
            raise Misfit(f"found a value nested more than {limit} levels deep, expected a flatter one")
        level = below
