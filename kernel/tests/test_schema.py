"""Types as JSON Schemas, and strict loading. The annotations of this module are postponed: all hints are resolved late."""

from __future__ import annotations

import dataclasses
import enum
import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypedDict,
    TypeVar,
    Unpack,
)
from uuid import UUID

import annotated_types
import attrs
import pydantic
import pytest

from ergaster.errors import InvalidInput, SchemaError
from ergaster.schema import Constraint, adapter_for, dump, function_adapter
from ergaster.secrets import Secret

if TYPE_CHECKING:
    from nowhere import Hidden

T = TypeVar("T")
UserId = NewType("UserId", int)


class Unit(enum.Enum):
    """How warm."""

    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Corner(enum.Enum):
    LEFT = (0, 1)
    RIGHT = (1, 1)


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


class Span(NamedTuple):
    start: int
    end: int = 9


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
class NumberBox(Box[int]):
    label: str = ""


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


@dataclasses.dataclass
class Event:
    date: date | None = None
    list: list[int] | None = None


def problems_of(hint: Any, value: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        adapter_for(hint).load(value)
    return caught.value.problems


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (None, {"type": "null"}),
        (bool, {"type": "boolean"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (Any, {}),
        (object, {}),
        (UserId, {"type": "integer"}),
        (Final[int], {"type": "integer"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (date, {"type": "string", "format": "date"}),
        (time, {"type": "string", "format": "time"}),
        (timedelta, {"type": "string", "format": "duration"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (Decimal, {"type": "string", "pattern": "^-?[0-9]{1,1000}([.][0-9]{1,1000})?$"}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (Path, {"type": "string", "format": "path"}),
        (Literal["a", 2, None], {"enum": ["a", 2, None]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Unit, {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "How warm."}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (Corner, {"type": "string", "enum": ["LEFT", "RIGHT"]}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (None | str | int, {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}),
        (list, {"type": "array", "items": {}}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (Iterable[int], {"type": "array", "items": {"type": "integer"}}),
        (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (tuple[int, int], {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}),
        (
            tuple[int, str],
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
        ),
        (tuple[()], {"type": "array", "minItems": 0, "maxItems": 0}),
        (dict, {"type": "object", "additionalProperties": True}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            Mapping[Unit, int],
            {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "propertyNames": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "How warm."},
            },
        ),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (
            Annotated[int, Constraint(ge=1, lt=9, multiple_of=2)],
            {"type": "integer", "minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2},
        ),
        (Annotated[str, Constraint(min_length=1, pattern="^a")], {"type": "string", "minLength": 1, "pattern": "^a"}),
        (
            Annotated[list[int], annotated_types.Len(1, 3)],
            {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        ),
        (Annotated[int | None, annotated_types.Ge(0)], {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}),
        (Annotated[int, pydantic.Field(description="d", gt=2)], {"type": "integer", "exclusiveMinimum": 2, "description": "d"}),
    ],
)
def test_schema_of_a_type(hint, schema):
    assert schema == adapter_for(hint).json_schema


@pytest.mark.parametrize(
    ("hint", "value", "loaded"),
    [
        (float, 1, 1.0),
        (int, 1.0, 1),
        (str, "\0 fine", "\0 fine"),
        (datetime, "2025-01-31T09:30:00Z", datetime(2025, 1, 31, 9, 30, tzinfo=UTC)),
        (datetime, "2025-01-31 09:30", datetime(2025, 1, 31, 9, 30)),  # noqa: DTZ001  # a time without a zone
        (time, "09:30:00.5", time(9, 30, 0, 500_000)),
        (timedelta, "PT1H30M", timedelta(minutes=90)),
        (timedelta, "-P1WT0.25S", -timedelta(days=7, microseconds=250_000)),
        (Decimal, "19.90", Decimal("19.90")),
        (bytes, "aGk=", b"hi"),
        (Unit, "celsius", Unit.CELSIUS),
        (Level, 2.0, Level.HIGH),
        (Corner, "LEFT", Corner.LEFT),
        (int | float, 1, 1),
        (int | float, 1.0, 1.0),
        (str | int, 1, 1),
        (bool | int, True, True),
        (date | str, "2025-01-31", date(2025, 1, 31)),
        (str | date, "2025-01-31", date(2025, 1, 31)),
        (date | str, "tomorrow", "tomorrow"),
        (bytes | str, "aGk=", "aGk="),
        (str | Unit, "celsius", Unit.CELSIUS),
        (str | bytes, "aGk=", "aGk="),
        (Unit | str, "celsius", Unit.CELSIUS),
        (list[int] | int, [1], [1]),
        (dict[int, str], {"-3": "x"}, {-3: "x"}),
        (Cat | Dog, {"kind": "dog"}, Dog("dog")),
        (Point | Span, {"start": 1}, Span(1)),
        (Box[int], {"content": 1, "more": [{"content": 2}]}, Box(1, [Box(2)])),
        (NumberBox, {"content": 1, "label": "x"}, NumberBox(1, [], "x")),
        (Point, {"x": 1, "hidden": "z"}, Point(1, 0.5, "z")),
        (Film, {"title": "M", "rating": 8}, {"title": "M", "rating": 8.0}),
        (Customer, {"name": "Ada", "born": "1815-12-10"}, Customer(name="Ada", born=date(1815, 12, 10))),
        (Node, {"name": "a", "children": [{"name": "b"}]}, Node("a", [Node("b")])),
        (Event, {"date": "2025-01-31", "list": [1]}, Event(date(2025, 1, 31), [1])),
    ],
)
def test_value_loads_to_its_type(hint, value, loaded):
    result = adapter_for(hint).load(value)

    assert (loaded, type(loaded)) == (result, type(result))


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, "3"),
        (int, True),
        (int, 1.5),
        (int, None),
        (float, "1.5"),
        (float, math.nan),
        (float, math.inf),
        (float, 10**400),
        (str, 3),
        (str, None),
        (str, "\ud800"),
        (bool, "true"),
        (bool, 1),
        (bool, 0),
        (None, "none"),
        (None, False),
        (int | None, "none"),
        (list[str], "a"),
        (list[str], {"0": "a"}),
        (tuple[int, int], [1]),
        (set[int], [1, 1]),
        (set[Any], [[1]]),
        (dict[str, int], [["a", 1]]),
        (dict[int, str], {"01": "x"}),
        (datetime, "2025-01-31"),
        (datetime, 1738315800),
        (datetime, "2025-13-31T00:00:00"),
        (date, "2025-01-31T00:00:00"),
        (date, "٢٠٢٥-01-31"),
        (time, "25:00"),
        (timedelta, "PT"),
        (timedelta, 60),
        (UUID, "123e4567e89b12d3a456426614174000"),
        (Decimal, 19.9),
        (Decimal, "NaN"),
        (Decimal, "1e5"),
        (bytes, "häh"),
        (bytes, "a"),
        (bytes, "aGk=\n"),
        (bytes, "aG-k"),
        (Path, "a\0b"),
        (Unit, "CELSIUS"),
        (Level, "LOW"),
        (Level, True),
        (Literal[1], True),
        (Literal[True], 1),
        (Any, math.nan),
        (Any, {"a": object()}),
        (Film, {"year": 1931}),
        (Point, {"x": 1, "computed": 4}),
        (Customer, {"name": "Ada", "born": 18151210}),
    ],
)
def test_nothing_is_coerced(hint, value):
    assert problems_of(hint, value)


def test_all_problems_are_told_at_once_with_their_paths():
    def book(guests: list[Point], unit: Unit, nights: int = 1, note: str = "") -> None: ...

    with pytest.raises(InvalidInput) as caught:
        function_adapter(book).load(
            {"guests": [{"x": "1"}, {"y": 2, "z": 0}], "unti": "celsius", "unit": "celcius", "nights": "two", "note": None}
        )

    assert (
        "guests[0].x: found the text '1', expected an integer; send the value itself, without quotes around it",
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
        (int, "None", "the value: found the text 'None', expected an integer; send the value itself, without quotes around it"),
        (
            list[int],
            "[1]",
            "the value: found the text '[1]', expected an array; send the value itself, without quotes around it",
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


def test_schema_of_nested_classes_is_in_place_and_of_repeated_ones_in_defs():
    @attrs.frozen
    class Line:
        start: Point
        end: Point
        film: Film | None = None

    schema = adapter_for(Line).json_schema

    assert {"$ref": "#/$defs/Point"} == schema["properties"]["start"] == schema["properties"]["end"]
    assert {
        "type": "object",
        "properties": {
            "x": {"type": "integer", "description": "Metres to the east."},
            "y": {"type": "number", "description": "Metres to the north.", "default": 0.5},
            "hidden": {"type": "string", "default": "h"},
        },
        "required": ["x"],
        "additionalProperties": False,
        "description": "A place on the map.",
    } == schema["$defs"]["Point"]
    assert {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "year": {"type": "integer"},
            "rating": {"type": "number", "description": "0 to 10"},
        },
        "required": ["title"],
        "additionalProperties": False,
        "description": "A film.",
    } == schema["properties"]["film"]["anyOf"][0]


def test_recursive_class_refers_to_itself():
    schema = adapter_for(Node).json_schema

    assert {"type": "array", "items": {"$ref": "#/$defs/Node"}, "default": []} == schema["properties"]["children"]
    assert schema["properties"] == schema["$defs"]["Node"]["properties"]


def test_different_classes_of_one_name_keep_their_definitions_apart():
    class Other(pydantic.BaseModel):
        friends: list[Customer] = []

    twin = dataclasses.make_dataclass("Customer", [("name", str), ("twin", "Customer | None", None)])
    holder = dataclasses.make_dataclass("Holder", [("one", twin), ("two", twin), ("other", Other), ("third", Customer)])
    twin.__annotations__["twin"] = twin | None
    schema = adapter_for(holder).json_schema

    assert {"Customer", "Customer_2", "Customer_3"} == set(schema["$defs"])
    assert {"$ref": "#/$defs/Customer_2"} == schema["properties"]["other"]["properties"]["friends"]["items"]
    assert (
        []
        == adapter_for(holder)
        .load({"one": {"name": "a"}, "two": {"name": "b"}, "other": {}, "third": {"name": "Ada"}})
        .other.friends
    )


def test_raw_schema_checks_without_changing_the_value():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 2}, "b": {"enum": ["x", "y"]}, "c": {"anyOf": [{"type": "null"}]}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    adapter = adapter_for(schema)

    assert schema == adapter.json_schema
    assert {"a": 2, "b": "x"} == adapter.load({"a": 2, "b": "x"})
    assert {
        "a: found the text '2', expected an integer",
        "b: missing",
        "zoo: unknown field; known are a, b and c",
    } == set(problems_of(schema, {"a": "2", "zoo": 1}))
    assert {
        "a: found the number 1, expected at least 2",
        "b: found the text 'z', expected one of 'x' or 'y'",
        "c: found the number 1, expected null",
    } == set(problems_of(schema, {"a": 1, "b": "z", "c": 1}))


@pytest.mark.parametrize(
    "schema", [{"type": "strin"}, {"type": 3}, {"$ref": "http://localhost:1/x"}, {"pattern": "("}, {"$ref": "#/nope"}]
)
def test_raw_schema_that_is_none_is_an_error_and_nothing_is_fetched(schema):
    with pytest.raises(SchemaError):
        adapter_for(schema)


def test_pattern_of_a_raw_schema_takes_bounded_time():
    assert problems_of({"type": "string", "pattern": r"^(a+)+$(?!b)"}, "a" * 5000 + "!")
    assert problems_of({"type": "string", "pattern": r"^(a+)+$"}, "a" * 50_000 + "!")


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (complex, "the type complex cannot become a JSON Schema; use str, int"),
        (Callable[[int], int], "cannot become a JSON Schema"),
        (Secret, "the type Secret cannot become"),
        (T, "type variable"),
        (dict[float, int], "keys of a JSON object are text, not float"),
        (Literal[b"x"], "the literal b'x' is no JSON value"),
        (Annotated[str, Constraint(ge=1)], "says nothing about str"),
        (Annotated[int, annotated_types.Predicate(abs)], "cannot become JSON Schema"),
        (enum.Flag("Many", "A B"), "the type Many cannot become"),
        (enum.Enum("Empty", ""), "has no members"),
        (dataclasses.make_dataclass("Init", [("a", dataclasses.InitVar[int])]), "InitVar"),
        (attrs.make_class("Bare", ["a"]), "the class Bare, field 'a': it has no type hint"),
        (attrs.make_class("Outer", {"a": attrs.field(type=complex)}), "the class Outer, field 'a': the type complex"),
    ],
)
def test_type_that_cannot_become_a_schema_is_named(hint, message):
    with pytest.raises(SchemaError) as caught:
        adapter_for(hint)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(a): ...", "the function f(), 'a': it has no type hint; write one, such as `a: str`"),
        ("def f(a: complex): ...", "the function f(), 'a': the type complex cannot become"),
        ("def f(a: list[complex]): ...", "the function f(), 'a': the type complex cannot become"),
        ("def f(a: 'Nowhere'): ...", "cannot be resolved (NameError: name 'Nowhere' is not defined); define or import"),
        ("def f(*a: int): ...", "the function f(), '*a': a model names its arguments; take a list[...] instead"),
        ("def f(a: 1): ...", "the function f(), 'a'"),
    ],
)
def test_signature_that_cannot_become_a_schema_names_function_and_parameter(source, message):
    scope: dict[str, Any] = {}
    exec(source, scope)

    with pytest.raises(SchemaError) as caught:
        function_adapter(scope["f"])

    assert message in str(caught.value)


def test_hint_that_is_only_there_for_type_checkers_is_an_error_that_says_so():
    def find(hidden: Hidden) -> None: ...

    with pytest.raises(SchemaError, match="not in a function or under TYPE_CHECKING"):
        function_adapter(find)


def test_local_classes_are_found_while_their_function_runs():
    @attrs.frozen
    class Local:
        value: int
        inner: Local | None = None

    def use(local: Local) -> None: ...

    assert {"local": Local(1, Local(2))} == function_adapter(use).load({"local": {"value": 1, "inner": {"value": 2}}})


def test_a_parameter_may_have_any_name():
    def odd(
        self: int, schema: int, context: int, json: int, call: int, name: int, cls: int, value: int, args: int, load: int
    ) -> None: ...

    names = list(odd.__annotations__)[:-1]
    arguments = dict.fromkeys(names, 1)

    assert names == list(function_adapter(odd).json_schema["properties"])
    assert arguments == function_adapter(odd).load(arguments)


def test_further_keyword_arguments_are_checked_by_their_hint():
    def tag(name: str, **extra: int) -> None: ...

    adapter = function_adapter(tag)

    assert {"type": "integer"} == adapter.json_schema["additionalProperties"]
    assert {"name": "x", "a": 1} == adapter.load({"name": "x", "a": 1})
    with pytest.raises(InvalidInput, match="a: found the text 'z', expected an integer"):
        adapter.load({"name": "x", "a": "z"})


def test_keyword_arguments_that_a_typed_dict_names_are_parameters():
    def show(size: int, **film: Unpack[Film]) -> None: ...

    adapter = function_adapter(show)

    assert (["size", "title", "year", "rating"], ["size", "title"]) == (
        list(adapter.json_schema["properties"]),
        adapter.json_schema["required"],
    )
    assert {"size": 1, "title": "M"} == adapter.load({"size": 1, "title": "M"})


def test_alias_may_contain_itself():
    class TypeAliasType:  # what `type Numbers = int | list[Numbers]` makes from Python 3.12 on
        __name__ = "Numbers"

        @property
        def __value__(self) -> Any:
            return int | list[self]

    adapter = adapter_for(dict[str, TypeAliasType()])
    numbers = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#/$defs/Numbers"}}]}

    assert ({"$ref": "#/$defs/Numbers"}, numbers) == (
        adapter.json_schema["additionalProperties"],
        adapter.json_schema["$defs"]["Numbers"],
    )
    assert {"a": [1, [2, []]]} == adapter.load({"a": [1, [2, []]]})
    assert problems_of(dict[str, TypeAliasType()], {"a": [1, ["2"]]})


def test_default_of_none_makes_a_parameter_optional():
    def look(limit: int = None, where: Any = None) -> None: ...  # noqa: RUF013  # what users write

    adapter = function_adapter(look)

    assert {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None} == adapter.json_schema["properties"]["limit"]
    assert {"default": None} == adapter.json_schema["properties"]["where"]
    assert {"limit": None} == adapter.load({"limit": None})


def test_default_that_is_no_json_value_is_not_shown():
    def look(limit: int = math.inf, unit: Unit = Unit.CELSIUS) -> None: ...

    properties = function_adapter(look).json_schema["properties"]

    assert {"type": "integer"} == properties["limit"]
    assert "celsius" == properties["unit"]["default"]


def test_wrapped_functions_keep_the_hints_of_what_they_wrap():
    import functools

    def inner(city: str, days: int = 3) -> None: ...

    @functools.wraps(inner)
    def outer(*args, **kwargs):
        return inner(*args, **kwargs)

    assert ["city", "days"] == list(function_adapter(outer).json_schema["properties"])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({Unit.CELSIUS: {3, 1, 2}}, {"celsius": [1, 2, 3]}),
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


def test_loading_plain_arguments_imports_neither_converters_nor_validators():
    code = (
        "import sys\nfrom ergaster.schema import function_adapter\n"
        "def f(a: str, b: int, c: float): ...\n"
        "assert function_adapter(f).load({'a': 'x', 'b': 1, 'c': 2})\n"
        "print([name for name in ('cattrs', 'jsonschema_rs', 'pydantic', 'annotated_types', 'anyio') if name in sys.modules])"
    )

    assert "[]" == subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
