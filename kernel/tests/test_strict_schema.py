"""The strict form of schemas."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal

import pydantic
import pytest

from ergaster.errors import Unsupported
from ergaster.schema import Constraint, adapter_for, function_adapter, strict_schema, without_nulls


@dataclass
class Part:
    name: str
    size: int = 3
    parts: list[Part] = field(default_factory=list)


def order(
    part: Part,
    *,
    count: Annotated[int, "How many.", Constraint(ge=1)] = 1,
    unit: Literal["box", "piece"] = "box",
    day: date | None = None,
    note: Annotated[str, Constraint(max_length=9)] = "",
) -> None: ...


def test_every_property_is_required_and_optional_ones_may_be_null():
    strict = strict_schema(function_adapter(order).json_schema)
    properties = strict["properties"]

    assert ["part", "count", "unit", "day", "note"] == strict["required"]
    assert {
        "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
        "description": "How many. Default: 1.",
    } == properties["count"]
    assert {
        "anyOf": [{"type": "string", "enum": ["box", "piece"]}, {"type": "null"}],
        "description": 'Default: "box".',
    } == properties["unit"]
    assert {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "description": "Default: null."} == properties[
        "day"
    ]
    assert 'At most 9 characters. Default: "".' == properties["note"]["description"]
    assert {"$ref": "#/$defs/Part"} == properties["part"]
    assert ["name", "size", "parts"] == strict["$defs"]["Part"]["required"]
    assert {"$ref": "#/$defs/Part"} == strict["$defs"]["Part"]["properties"]["parts"]["anyOf"][0]["items"]
    assert strict["$defs"]["Part"]["additionalProperties"] is False


def test_nulls_of_optional_properties_mean_that_they_are_left_out():
    adapter = function_adapter(order)
    reply = {
        "part": {"name": "a", "size": None, "parts": [{"name": "b", "size": 2, "parts": None}]},
        "count": None,
        "unit": None,
        "day": None,
        "note": "x",
    }

    relaxed = without_nulls(adapter.json_schema, reply)

    assert {"part": {"name": "a", "parts": [{"name": "b", "size": 2}]}, "day": None, "note": "x"} == relaxed
    assert {"part": Part("a", parts=[Part("b", 2)]), "day": None, "note": "x"} == adapter.load(relaxed)


def test_description_beside_a_reference_is_kept_apart_from_it():
    @dataclass
    class Pair:
        one: Annotated[Part, "The first."]
        two: Part

    properties = strict_schema(adapter_for(Pair).json_schema)["properties"]

    assert {"anyOf": [{"$ref": "#/$defs/Part"}], "description": "The first."} == properties["one"]
    assert {"$ref": "#/$defs/Part"} == properties["two"]


def test_tagged_union_of_pydantic_becomes_any_of():
    class Cat(pydantic.BaseModel):
        kind: Literal["cat"]

    class Dog(pydantic.BaseModel):
        kind: Literal["dog"]

    class Owner(pydantic.BaseModel):
        pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]

    strict = strict_schema(adapter_for(Owner).json_schema)

    assert [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}] == strict["properties"]["pet"]["anyOf"]
    assert set(strict["properties"]["pet"]) <= {"anyOf", "title"}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array", "items": {}}, "needs an object at the root"),
        ({"type": "object"}, "no free-form objects"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "no free-form objects"),
        ({"type": "object", "properties": {"a": {}}}, "the schema, 'a': the strict form cannot say 'any value'"),
        ({"type": "object", "properties": {"a": True}}, "cannot say 'any value'"),
        ({"type": "object", "properties": {"a": {"type": "object", "properties": {}, "allOf": []}}}, "has no 'allOf'"),
        (adapter_for(tuple[int, str]), "'prefixItems'"),
        (adapter_for(dict[str, int]), "no free-form objects"),
        (adapter_for(Any), "any value"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "the schema, 'a'"),
    ],
)
def test_what_the_strict_form_cannot_say_is_unsupported(schema, message):
    if not isinstance(schema, dict):
        schema = {"type": "object", "properties": {"a": schema.json_schema}}
    with pytest.raises(Unsupported) as caught:
        strict_schema(schema)

    assert message in str(caught.value)
