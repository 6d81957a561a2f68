"""Types as JSON Schemas, and strict loading. The annotations of this module are postponed: all hints are resolved late."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypedDict,
    TypeVar,
)
from uuid import UUID

import annotated_types
import attrs
import pydantic
import pytest

from ergaster.errors import InvalidInput, SchemaError
from ergaster.schema import Constraint, adapter_for
from ergaster.secrets import Secret

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
    visits: int = 0
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
        (Customer, {"name": "Ada", "visits": "3"}),
    ],
)
def test_nothing_is_coerced(hint, value):
    assert problems_of(hint, value)


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


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (complex, "the type complex cannot become a JSON Schema; use str, int"),
        (Callable[[int], int], "cannot become a JSON Schema"),
        (list[ForwardRef("Nowhere")], "the name 'Nowhere' stands for no type here"),
        (list[complex], "the schema of list[complex]: the type complex cannot"),
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


def test_generic_class_at_the_root_is_written_in_place():
    schema = adapter_for(Box[Box[int]]).json_schema

    assert "object" == schema["type"]
    assert {"Box_Box_int", "Box_int"} == set(schema["$defs"])


def test_root_model_of_pydantic_is_of_its_own_kind():
    class Numbers(pydantic.RootModel[list[int]]):
        pass

    adapter = adapter_for(Numbers | str)

    assert (Numbers([1]), "x") == (adapter.load([1]), adapter.load("x"))
    assert problems_of(Numbers | str, ["1"])


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
