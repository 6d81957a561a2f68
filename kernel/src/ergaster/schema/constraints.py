"""Limits on values, beside their types."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from attrs import evolve, fields, frozen

from ergaster.messages import Json
from ergaster.schema.misfits import Misfit, Problem, found
from ergaster.schema.nodes import KIND_OF, Node, Schema

__all__ = ["Constraint", "constrained", "suits"]


@frozen(kw_only=True)
class Constraint:
    """A limit on a value, put beside its type: `Annotated[int, Constraint(ge=1, le=10)]`.

    Attributes:
        ge: The number is this or greater.
        gt: The number is greater.
        le: The number is this or less.
        lt: The number is less.
        multiple_of: The number is a multiple of this.
        min_length: The text, array or object has at least so many characters, items or properties.
        max_length: It has at most so many.
        pattern: A regular expression that matches somewhere in the text; only from the developer, never from a model.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None


def _is_multiple(value: float, bound: float) -> bool:
    """Return whether a number is a multiple as it is written: 0.3 is one of 0.1."""
    exact = [Fraction(number) if isinstance(number, int) else Fraction(repr(number)) for number in (value, bound)]
    return exact[0] % exact[1] == 0


_NUMBERS: Mapping[str, tuple[str, str, Callable[[Json, float], bool]]] = {
    "ge": ("minimum", "at least", operator.ge),
    "gt": ("exclusiveMinimum", "greater than", operator.gt),
    "le": ("maximum", "at most", operator.le),
    "lt": ("exclusiveMaximum", "less than", operator.lt),
    "multiple_of": ("multipleOf", "a multiple of", _is_multiple),
}
_WORDS = {
    **{name: words for name, (_, words, _) in _NUMBERS.items()},
    "min_length": "a length of at least",
    "max_length": "a length of at most",
    "pattern": "matching",
}
_LENGTH_KEYWORDS = {"string": "Length", "array": "Items", "object": "Properties"}
_UNITS = {"string": "characters", "array": "items", "object": "properties"}


def constrained(node: Node, limit: Constraint) -> Node:
    """Return the node with a limit on its JSON value; the caller has checked that the limit suits the type."""
    checks = _checks(limit)

    def load(value: Json) -> object:
        problems: list[Problem] = []
        result = None
        try:
            result = node.load(value)
        except Misfit as error:
            problems = error.problems
        problems += [([], problem) for check in checks if (problem := check(value))]
        if problems:
            raise Misfit(problems=problems)
        return result

    bounds = [f"{word} {getattr(limit, name)}" for name, word in _WORDS.items() if getattr(limit, name) is not None]
    return evolve(
        node,
        load=load,
        schema=lambda render: _with_keywords(node.schema(render), limit),
        expected=f"{node.expected} ({', '.join(bounds)})" if bounds else node.expected,
    )


def suits(node: Node, limit: Constraint) -> bool:
    """Return whether each part of a limit applies to something that the node takes."""
    wanted = {item.name for item in fields(Constraint) if getattr(limit, item.name) is not None}
    if wanted & set(_NUMBERS) and not node.kinds & {"integer", "number"}:
        return False
    if "pattern" in wanted and "string" not in node.kinds:
        return False
    return not (wanted & {"min_length", "max_length"}) or bool(node.kinds & set(_LENGTH_KEYWORDS))


def _checks(limit: Constraint) -> list[Callable[[Json], str]]:
    bounds = {name: getattr(limit, name) for name in _NUMBERS}
    checks = [_number_check(bound, *_NUMBERS[name][1:]) for name, bound in bounds.items() if bound is not None]
    if limit.min_length is not None or limit.max_length is not None:
        checks.append(_length_check(limit.min_length or 0, limit.max_length))
    if limit.pattern is not None:
        checks.append(_pattern_check(re.compile(limit.pattern)))
    return checks


def _number_check(bound: float, words: str, test: Callable[[Json, float], bool]) -> Callable[[Json], str]:
    def check(value: Json) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ""
        if (isinstance(value, float) and not math.isfinite(value)) or test(value, bound):  # NaN has its own sentence
            return ""
        return f"found {found(value)}, expected a number {words} {bound}".replace("number a multiple", "multiple")

    return check


def _length_check(least: int, most: int | None) -> Callable[[Json], str]:
    bounds = f"at least {least}" if most is None else f"at most {most}" if least == 0 else f"{least} to {most}"

    def check(value: Json) -> str:
        kind = KIND_OF.get(type(value), "")
        if kind not in _UNITS or (least <= len(value) and (most is None or len(value) <= most)):
            return ""
        return f"found {len(value)} {_UNITS[kind]}, expected {bounds}"

    return check


def _pattern_check(pattern: re.Pattern[str]) -> Callable[[Json], str]:
    def check(value: Json) -> str:
        if not isinstance(value, str) or pattern.search(value):
            return ""
        return f"found {found(value)}, expected text that matches the pattern {pattern.pattern}"

    return check


def _with_keywords(schema: Schema, limit: Constraint) -> Schema:
    if "anyOf" in schema:
        return {**schema, "anyOf": [_with_keywords(member, limit) for member in schema["anyOf"]]}
    kind = schema.get("type")
    bounds: Schema = {}
    if kind in {"integer", "number"}:
        bounds = {word: getattr(limit, name) for name, (word, _, _) in _NUMBERS.items()}
    elif kind in _LENGTH_KEYWORDS:
        unit = _LENGTH_KEYWORDS[kind]
        bounds = {f"min{unit}": limit.min_length, f"max{unit}": limit.max_length}
        if kind == "string":
            bounds["pattern"] = limit.pattern
    return {**schema, **{word: bound for word, bound in bounds.items() if bound is not None}}
