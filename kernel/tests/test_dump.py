"""Python values as JSON."""

from __future__ import annotations

import enum
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import (
    Any,
    NamedTuple,
)

import attrs
import pydantic
import pytest

from ergaster.errors import InvalidInput
from ergaster.schema import dump
from ergaster.secrets import Secret


class Unit(enum.Enum):
    """How warm."""

    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Point:
    """A place on the map.

    Attributes:
        x: Metres to the east.
    """

    x: int
    y: float = attrs.field(default=0.5, metadata={"description": "Metres to the north."})
    _hidden: str = "h"
    computed: int = attrs.field(init=False, default=3)


class Span(NamedTuple):
    start: int
    end: int = 9


class Customer(pydantic.BaseModel):
    """Who buys."""

    name: str = pydantic.Field(description="Full name.", min_length=2)
    born: date | None = None
    friends: list[Customer] = []


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({Unit.CELSIUS: {16, 8, 1}}, {"celsius": [1, 8, 16]}),
        (frozenset({8, None, "a", True}), ["a", 8, None, True]),
        (Point(1), {"x": 1, "y": 0.5, "hidden": "h"}),
        (Span(1), {"start": 1, "end": 9}),
        (Customer(name="Ada"), {"name": "Ada", "born": None, "friends": []}),
        (
            [datetime(2025, 1, 31, tzinfo=UTC), date(2025, 1, 31), timedelta(1)],
            ["2025-01-31T00:00:00+00:00", "2025-01-31", "P1DT0S"],
        ),
        ((Decimal("1.50"), b"hi", Path("a/b"), Level.LOW), ["1.50", "aGk=", "a/b", 1]),
        ({1: range(3)}, {"1": [0, 1, 2]}),
    ],
)
def test_value_becomes_json(value, written):
    assert written == dump(value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "the value: found nan, expected a finite number"),
        ({"a": [1, math.inf]}, "a[1]: found inf, expected a finite number"),
        ({"a": object()}, "a: found a builtins.object, which cannot become JSON; return text, plain values"),
        ({None: 1}, "None: found a key of the type NoneType, expected text"),
        ({1: 1, "1": 2}, "[1]: found two keys"),
        (Decimal("NaN"), "which cannot become JSON"),
        (Secret("s3cret"), "the value: found a ergaster.secrets.Secret, which cannot become JSON"),
    ],
)
def test_value_that_cannot_become_json_is_refused(value, problem):
    with pytest.raises(InvalidInput) as caught:
        dump(value)

    assert problem in caught.value.problems[0].replace("['1']", "[1]")
    assert "s3cret" not in str(caught.value)


def test_value_that_contains_itself_is_refused():
    value: list[Any] = []
    value.append(value)

    with pytest.raises(InvalidInput, match="contains itself"):
        dump(value)
