"""What holds for every type and every JSON value."""

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, Union

import attrs
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergaster.errors import InvalidInput, SchemaError, Unsupported
from ergaster.schema import Adapter, Constraint, adapter_for, strict_schema, without_nulls


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Size(Enum):
    SMALL = (1, 2)
    LARGE = (3, 4)


class Level(Enum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Leaf:
    value: int
    note: str = ""


@attrs.frozen
class Tree:
    name: str
    children: "tuple[Tree, ...]" = ()


class Options(TypedDict, total=False):
    depth: int
    colour: Colour


class Place(NamedTuple):
    x: float
    y: float = 0.0


def _zone(minutes):
    return timezone(timedelta(minutes=minutes))


# values of a type, from which the type's hint is known: (hint, strategy of its values)
SCALARS = {
    type(None): st.none(),
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(exclude_categories=["Cs"])),
    datetime: st.datetimes(timezones=st.integers(-1439, 1439).map(_zone) | st.none()),
    date: st.dates(),
    time: st.times(),
    timedelta: st.timedeltas(),
    uuid.UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40),
    bytes: st.binary(),
    Path: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map(Path),
    Colour: st.sampled_from(Colour),
    Size: st.sampled_from(Size),
    Level: st.sampled_from(Level),
    Literal["a", 1, None, False]: st.sampled_from(["a", 1, None, False]),
    Leaf: st.builds(Leaf, st.integers(), st.text("ab")),
    Tree: st.recursive(
        st.builds(Tree, st.text("ab")), lambda inner: st.builds(Tree, st.text("ab"), st.lists(inner, max_size=3).map(tuple))
    ),
    Options: st.fixed_dictionaries({}, optional={"depth": st.integers(), "colour": st.sampled_from(Colour)}),
    Place: st.builds(Place, *[st.floats(allow_nan=False, allow_infinity=False)] * 2),
}


@cache
def _class_of(hints):
    names = [f"field{index}" for index in range(len(hints))]
    return make_dataclass("Made", list(zip(names, hints, strict=True)), frozen=True)


def _made(parts):
    kind = _class_of(tuple(hint for hint, _ in parts))
    return kind, st.tuples(*(values for _, values in parts)).map(lambda values: kind(*values))


def _containers(inner):
    """Pairs of a hint and its values, from such pairs."""
    return st.one_of(
        inner.map(lambda pair: (list[pair[0]], st.lists(pair[1], max_size=4))),
        inner.map(lambda pair: (tuple[pair[0], ...], st.lists(pair[1], max_size=4).map(tuple))),
        inner.map(lambda pair: (pair[0] | None, st.none() | pair[1])),
        inner.map(lambda pair: (dict[str, pair[0]], st.dictionaries(st.text("abc", max_size=3), pair[1], max_size=4))),
        inner.map(lambda pair: (dict[int, pair[0]], st.dictionaries(st.integers(), pair[1], max_size=4))),
        st.lists(inner, max_size=3).map(
            lambda pairs: (tuple[tuple(pair[0] for pair in pairs)], st.tuples(*(pair[1] for pair in pairs)))
        ),
        st.lists(inner, min_size=1, max_size=4).map(_made),
    )


PAIRS = st.recursive(st.sampled_from(list(SCALARS.items())), _containers, max_leaves=6)
SETS = st.sampled_from([int, str, date, Colour, uuid.UUID]).map(
    lambda hint: (frozenset[hint], st.frozensets(SCALARS[hint], max_size=4))
)
HINTS = PAIRS.map(lambda pair: pair[0])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab1-") | st.sampled_from(["red", "SMALL", "2025-01-31"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text("ab", max_size=2) | st.sampled_from(["value", "name", "x", "field0", "field1"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given((PAIRS | SETS).flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
@settings(max_examples=300, deadline=None)
def test_what_is_dumped_loads_to_an_equal_value(pair):
    hint, value = pair
    adapter = adapter_for(hint)

    wire = json.loads(json.dumps(adapter.dump(value), allow_nan=False))
    loaded = adapter.load(wire)

    assert value == loaded
    assert type(value) is type(loaded)
    assert jsonschema_rs.is_valid(adapter.json_schema, wire)


@given(HINTS, JSON)
@settings(max_examples=300, deadline=None)
def test_every_json_value_loads_or_is_refused_with_problems(hint, value):
    adapter = adapter_for(hint)
    if _loads(adapter, value):
        loaded = adapter.load(value)

        assert loaded == adapter.load(adapter.dump(loaded))


@given(HINTS, JSON)
@settings(max_examples=300, deadline=None)
def test_what_the_schema_refuses_is_refused(hint, value):
    adapter = adapter_for(hint)
    if _holds_no_json(value) or jsonschema_rs.is_valid(adapter.json_schema, value):
        return

    with pytest.raises(InvalidInput):
        adapter.load(value)


LIMITED = [
    Annotated[int, Constraint(ge=-3, multiple_of=2)],
    Annotated[float, Constraint(gt=0, le=10, multiple_of=0.5)],
    Annotated[str, Constraint(min_length=1, max_length=3, pattern="a|1$")],
    Annotated[list[int | bool], Constraint(min_length=1, max_length=2)],
    Annotated[dict[str, Any] | int | None, Constraint(max_length=1, lt=5)],
]
PLAIN = st.recursive(
    st.sampled_from([*LIMITED, None, bool, int, float, str, Colour, Size, Level, Leaf, Tree, Literal["a", 1], Any]),
    lambda inner: st.one_of(
        inner.map(lambda hint: list[hint]),
        inner.map(lambda hint: Sequence[hint]),
        inner.map(lambda hint: Mapping[str, hint]),
        st.tuples(inner, inner).map(lambda hints: tuple[hints]),
        st.lists(inner, min_size=1, max_size=3).map(lambda hints: Union[tuple(hints)]),  # noqa: UP007  # of a list
    ),
    max_leaves=6,
)


@given(PLAIN, JSON)
@settings(max_examples=300, deadline=None)
def test_types_without_a_text_grammar_load_exactly_what_their_schema_allows(hint, value):
    adapter = adapter_for(hint)
    if _holds_no_json(value):
        return

    assert jsonschema_rs.is_valid(adapter.json_schema, value) == _loads(adapter, value)


@given(HINTS)
@settings(max_examples=150, deadline=None)
def test_schemas_are_valid_stable_and_strict_where_that_can_be_said(hint):
    schema = adapter_for(hint).json_schema

    assert json.dumps(schema) == json.dumps(adapter_for(hint).json_schema)
    assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


@given(st.lists(PAIRS, min_size=1, max_size=4).map(_made).flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
@settings(max_examples=150, deadline=None)
def test_strict_schemas_take_what_the_schema_takes_once_every_field_is_written(pair):
    hint, value = pair
    adapter = adapter_for(hint)
    try:
        strict = strict_schema(adapter.json_schema)
    except Unsupported:
        return

    wire = adapter.dump(value)

    assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **strict})
    assert value == adapter.load(without_nulls(adapter.json_schema, wire))


def _loads(adapter: Adapter, value: object) -> bool:
    try:
        adapter.load(value)
    except InvalidInput as error:
        return not _are_sentences(error.problems)
    return True


def _are_sentences(problems):
    return bool(problems) and all(": " in problem and len(problem) < 1000 for problem in problems)


def _holds_no_json(value):
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_holds_no_json, value.values()))
    return isinstance(value, list) and any(map(_holds_no_json, value))


@given(st.text(max_size=200))
def test_every_docstring_can_be_parsed(text):
    from ergaster.schema import parse_docstring

    assert isinstance(parse_docstring(text).summary, str)


@pytest.mark.parametrize("hint", [complex, type[int], Leaf | complex, list[object | type]])
def test_what_cannot_become_a_schema_is_an_error(hint):
    with pytest.raises(SchemaError):
        adapter_for(hint)
