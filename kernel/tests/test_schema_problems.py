"""What is said about values that do not fit."""

from __future__ import annotations

import dataclasses
import enum
from datetime import date
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NotRequired,
    Required,
    TypedDict,
    TypeVar,
)
from uuid import UUID

import attrs
import pydantic
import pytest

from ergaster.errors import InvalidInput, SchemaError
from ergaster.schema import Constraint, adapter_for, function_adapter

T = TypeVar("T")


class Unit(enum.Enum):
    """How warm."""

    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


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


@dataclasses.dataclass
class Node:
    name: str
    children: list[Node] = dataclasses.field(default_factory=list)
    partner: Node | None = None


class Film(TypedDict, total=False):
    """A film."""

    title: Required[str]
    year: int
    rating: NotRequired[Annotated[float, "0 to 10"]]


@attrs.frozen
class Cat:
    kind: Literal["cat"]
    lives: int


@attrs.frozen
class Dog:
    kind: Literal["dog"]
    tricks: list[str] = attrs.field(factory=list)


@attrs.frozen
class Box(Generic[T]):
    content: T
    more: list[Box[T]] = attrs.field(factory=list)


@attrs.frozen
class Positive:
    value: int

    def __attrs_post_init__(self) -> None:
        if self.value <= 0:
            raise ValueError("value must be positive")


class Customer(pydantic.BaseModel):
    """Who buys."""

    name: str = pydantic.Field(description="Full name.", min_length=2)
    born: date | None = None
    friends: list[Customer] = []


def problems_of(hint: Any, value: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        adapter_for(hint).load(value)
    return caught.value.problems


def test_all_problems_are_told_at_once_with_their_paths():
    def book(guests: list[Point], unit: Unit, nights: int = 1, note: str = "") -> None: ...

    with pytest.raises(InvalidInput) as caught:
        function_adapter(book).load(
            {"guests": [{"x": "1"}, {"y": 2, "z": 0}], "unti": "celsius", "unit": "celcius", "nights": "two", "note": None}
        )

    assert (
        "guests[0].x: found the text '1', expected an integer; write the value itself, without quotes around it",
        "guests[1].z: unknown field; known are x, y and hidden",
        "guests[1].x: missing, expected an integer",
        "unti: unknown argument; did you mean 'unit'?",
        "unit: found the text 'celcius', expected one of 'celsius' or 'fahrenheit'; did you mean 'celsius'?",
        "nights: found the text 'two', expected an integer",
        "note: found null, expected text; leave it out for its default",
    ) == caught.value.problems


@pytest.mark.parametrize(
    ("hint", "value", "problem"),
    [
        (
            int,
            "None",
            "the value: found the text 'None', expected an integer; write the value itself, without quotes around it",
        ),
        (
            list[int],
            "[1]",
            "the value: found the text '[1]', expected an array; write the value itself, without quotes around it",
        ),
        (date, "3", "the value: found the text '3', expected a date as text like '2025-01-31'"),
        (int | str, 1.5, "the value: found the number 1.5, expected an integer or text"),
        (int | str, [], "the value: found an empty array, expected an integer or text"),
        (Cat | Dog, {"kind": "dog", "tricks": [1]}, "tricks[0]: found the number 1, expected text"),
        (Cat | None, {"kind": "cat"}, "lives: missing, expected an integer"),
        (dict[str, int], {"a b": "x"}, "['a b']: found the text 'x', expected an integer"),
        (Positive, {"value": -1}, "the value: refused: value must be positive"),
        (list[Positive], [{"value": 1}, {"value": 0}], "[1]: refused: value must be positive"),
        (Annotated[int, Constraint(ge=1)], 0, "the value: found the number 0, expected a number at least 1"),
        (Annotated[float, Constraint(multiple_of=0.1)], 0.25, "the value: found the number 0.25, expected a multiple of 0.1"),
        (Annotated[str, Constraint(max_length=2)], "abc", "the value: found 3 characters, expected at most 2"),
        (Customer, {"name": "A"}, "name: found the text 'A', String should have at least 2 characters"),
        (Customer, {"name": "Ada", "friends": [{}]}, "friends[0].name: missing"),
    ],
)
def test_problem_says_what_was_found_and_what_is_expected(hint, value, problem):
    assert (problem,) == problems_of(hint, value)


def test_union_tells_the_problems_of_the_closest_class():
    problems = problems_of(Cat | Dog, {"kind": "cow", "lives": 9})

    assert "the value: found an object that fits none of: Cat or Dog; the closest has these problems" == problems[0]
    assert "kind: found the text 'cow', expected 'cat'" == problems[1]


def test_problems_and_values_in_messages_are_bounded():
    problems = problems_of(list[int], ["x" * 1000] * 100_000)

    assert len(problems) == 51
    assert max(map(len, problems)) < 200
    assert ("the value: found a number of hundreds of digits, expected text",) == problems_of(str, 10**5000)


def test_loader_stops_looking_once_there_are_enough_problems():
    seen: list[str] = []

    class Items(list):
        def __iter__(self):
            return (seen.append(item) or item for item in super().__iter__())

    class Fields(dict):
        def items(self):
            return ((seen.append(item[0]) or item) for item in super().items())

    wrong = [f"celcius{number}" for number in range(10_000)]
    for hint, value in (
        (list[Unit], Items(wrong)),
        (dict[str, Unit], Fields(zip(wrong, wrong, strict=True))),
        (Film, Fields(zip(wrong, wrong, strict=True))),
    ):
        seen.clear()

        assert problems_of(hint, value)[-1].startswith("the value: more problems than these 50")
        assert 51 <= len(seen) <= 52


def test_classes_that_nothing_tells_apart_are_an_error():
    @attrs.frozen
    class Other:
        value: int

    with pytest.raises(SchemaError, match="nothing tells Positive and Other apart; give each a field such as `kind: Literal"):
        adapter_for(Positive | Other)


def test_value_that_fits_two_classes_equally_is_refused_and_the_fields_that_decide_are_named():
    @attrs.frozen
    class One:
        value: int
        one: int = 0

    @attrs.frozen
    class Two:
        value: int
        two: int = 0

    assert Two(1, 2) == adapter_for(One | Two).load({"value": 1, "two": 2})
    assert ("the value: found an object that fits One and Two equally, expected one of them: add one or two",) == problems_of(
        One | Two, {"value": 1}
    )


@pytest.mark.parametrize("hint", [Any, list[Any], Node, Box[int], {"type": "array"}, Customer, dict, list[dict]])
@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"children": [inner], "name": "x"}])
def test_json_5000_levels_deep_is_refused(hint, make):
    value = []
    for _ in range(5000):
        value = make(value)

    assert problems_of(hint, value)


def test_chain_of_a_recursive_class_is_bounded():
    value = None
    for _ in range(5000):
        value = {"name": "x", "partner": value}

    assert ("the value: found a value nested more than 100 levels deep, expected a flatter one",) == problems_of(Node, value)


def test_of_classes_that_fit_the_one_with_the_fewest_fields_left_out_is_meant():
    @attrs.frozen
    class Long:
        value: int
        note: str = ""

    @attrs.frozen
    class Short:
        value: int

    adapter = adapter_for(Long | Short)

    assert (Short(1), Long(1, "x")) == (adapter.load({"value": 1}), adapter.load({"value": 1, "note": "x"}))


def test_limits_hold_for_numbers_of_any_size():
    adapter = adapter_for(Annotated[float, Constraint(multiple_of=0.1, ge=0)])

    assert [0.3, 1e300] == [adapter.load(0.3), adapter.load(1e300)]
    assert 10**5000 == adapter_for(Annotated[int, Constraint(multiple_of=10)]).load(10**5000)
    assert problems_of(Annotated[float, Constraint(multiple_of=0.1, ge=0)], float("-inf"))


def test_keys_that_mean_the_same_are_refused():
    key = "123e4567-e89b-12d3-a456-42661417400f"

    assert (f"[{key.upper()!r}]: found two keys that mean the same, expected each once",) == problems_of(
        dict[UUID, int], {key: 1, key.upper(): 2}
    )
