"""Nodes of arrays, mappings, unions and constraints."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial
from itertools import repeat
from typing import Any

from attrs import evolve

from ergaster.messages import Json
from ergaster.schema.misfits import MAX_PROBLEMS, Misfit, Problem, found, listed, misfit
from ergaster.schema.nodes import KIND_OF, Node, Render, Schema
from ergaster.suggestions import did_you_mean

__all__ = [
    "INTEGER_KEY", "are_alike", "array_node", "described", "load_items", "load_pairs", "mapping_node", "nearest_of",
    "tuple_node", "union_node",
]  # fmt: skip


def load_items(values: Collection[Any], loads: Iterable[Callable[[Any], Any]]) -> list[Any]:
    """Return the items, each as its loader returns it, or raise all problems with their places."""
    result: list[Any] = []
    problems: list[Problem] = []
    for index, (value, load) in enumerate(zip(values, loads, strict=False)):
        try:
            result.append(load(value))
        except Misfit as error:
            problems += error.below(index)
            if len(problems) > MAX_PROBLEMS:
                break
    if problems:
        raise Misfit(problems=problems)
    return result


def load_pairs(
    pairs: Collection[tuple[Any, Any]], load_key: Callable[[Any], Any] | None, load: Callable[[Any], Any]
) -> dict[Any, Any]:
    """Return the pairs, keys and values as their loaders return them, or raise all problems with their places."""
    result: dict[Any, Any] = {}
    problems: list[Problem] = []
    for key, value in pairs:
        try:
            name = key if load_key is None else load_key(key)
            if name in result:
                problems.append(([str(key)], "found two keys that mean the same, expected each once"))
            result[name] = load(value)
        except Misfit as error:
            problems += error.below(str(key))
        if len(problems) > MAX_PROBLEMS:
            break
    if problems:
        raise Misfit(problems=problems)
    return result


def array_node(item: Node, build: Callable[[list[object]], object] | None, *, unique: bool = False) -> Node:
    """Return the node of an array whose items are alike; *build* makes the wanted collection of the list."""
    load_item = item.load

    def load(value: Json) -> object:
        if not isinstance(value, list | tuple | set | frozenset):
            raise misfit(value, "an array")
        items = load_items(value, repeat(load_item))
        if build is None:
            return items
        try:
            result = build(items)
        except TypeError:  # unhashable items
            raise Misfit("found items that cannot be members of a set, expected plain values") from None
        if unique and len(result) != len(items):  # type: ignore[arg-type]  # a set
            raise Misfit("found an item twice, expected each item once")
        return result

    def schema(render: Render) -> Schema:
        written: Schema = {"type": "array", "items": item.schema(render)}
        if unique:
            written["uniqueItems"] = True
        return written

    return Node(load=load, schema=schema, expected=f"an array of {item.expected}", kinds=frozenset({"array"}))


def tuple_node(items: Sequence[Node]) -> Node:
    """Return the node of an array with a fixed number of items, each of its own type."""
    count = len(items)

    def load(value: Json) -> tuple[object, ...]:
        if not isinstance(value, list | tuple) or len(value) != count:
            raise misfit(value, f"an array of exactly {count}")
        return tuple(load_items(value, [item.load for item in items]))

    def schema(render: Render) -> Schema:
        written: Schema = {"type": "array"}
        if count and all(item is items[0] for item in items):
            written["items"] = items[0].schema(render)
        elif count:
            written["prefixItems"] = [item.schema(render) for item in items]
        return {**written, "minItems": count, "maxItems": count}

    return Node(load=load, schema=schema, expected=f"an array of exactly {count}", kinds=frozenset({"array"}))


def mapping_node(key: Node | None, value: Node) -> Node:
    """Return the node of an object with free keys; *key* checks them, None takes every text."""

    def load(data: Json) -> dict[object, object]:
        if not isinstance(data, Mapping):
            raise misfit(data, "an object")
        return load_pairs(data.items(), None if key is None else key.load, value.load)

    def schema(render: Render) -> Schema:
        inner = value.schema(render)
        written: Schema = {"type": "object", "additionalProperties": inner or True}
        if key is not None:
            written["propertyNames"] = key.schema(render)
        return written

    expected = "an object" if value.rank == 4 else f"an object of {value.expected}"
    return Node(load=load, schema=schema, expected=expected, kinds=frozenset({"object"}), rank=3)


def _integer_key(value: Json) -> int:
    if isinstance(value, str) and re.fullmatch("0|-?[1-9][0-9]{0,999}", value):
        return int(value)
    raise Misfit(f"found the key {value!r}, expected an integer as key")


INTEGER_KEY = Node(
    load=_integer_key,
    schema=lambda _: {"type": "string", "pattern": "^(0|-?[1-9][0-9]{0,999})$"},
    expected="an integer as key",
    kinds=frozenset({"string"}),
)


def union_node(members: Sequence[Node]) -> Node:
    """Return the node of a union; a member of the value's exact JSON kind comes first, and narrow ones before wide ones."""
    candidates_for = cache(partial(_candidates, members))
    expected = listed([member.expected for member in members])

    def load(value: Json) -> object:
        kind = KIND_OF.get(type(value)) or _kind_of_subclass(value)
        candidates = candidates_for(kind)
        if len(candidates) == 1 and kind in candidates[0].kinds:
            return candidates[0].load(value)
        if kind == "object":
            return _choose_object(value, candidates, expected)
        errors: list[Misfit] = []
        for member in candidates:
            try:
                return member.load(value)
            except Misfit as error:
                errors.append(error)
        raise _none_fits(value, errors, expected)

    def schema(render: Render) -> Schema:
        written: list[Schema] = []
        for member in members:
            if (one := member.schema(render)) not in written or render.is_counting:
                written.append(one)
        return written[0] if len(written) == 1 else {"anyOf": written}

    constants = None
    if all(member.constants is not None for member in members):
        constants = {key: value for member in members for key, value in (member.constants or {}).items()}
    kinds = frozenset(kind for member in members for kind in member.kinds)
    return Node(load=load, schema=schema, expected=expected, kinds=kinds, constants=constants)


def _candidates(members: Sequence[Node], kind: str) -> tuple[Node, ...]:
    """Return the members that may take a JSON kind, best first; an integer is a number, and 1.0 is an integer."""
    if not kind:  # no JSON value, so perhaps an object that a member takes
        return tuple(sorted(members, key=lambda member: member.rank))
    other = {"integer": "number", "number": "integer"}.get(kind)
    exact = [member for member in members if kind in member.kinds]
    wider = [member for member in members if other in member.kinds and kind not in member.kinds]
    constants = [member for member in wider if member.rank == 0]
    wider = [member for member in wider if member.rank != 0]
    return (*constants, *sorted(exact, key=lambda member: member.rank), *wider)


def _kind_of_subclass(value: Json) -> str:
    return next((kind for base, kind in KIND_OF.items() if isinstance(value, base)), "")


def _none_fits(value: Json, errors: Sequence[Misfit], expected: str) -> Misfit:
    closest = min(errors, key=lambda error: len(error.problems), default=None)
    if closest is None or not isinstance(value, dict | list | tuple):
        hints = [text.partition("; did you mean")[2] for error in errors for _, text in error.problems]
        near = next(filter(None, hints), "")
        return Misfit(f"{misfit(value, expected)}; did you mean{near}") if near else misfit(value, expected)
    summary = f"found {found(value)} that fits none of: {expected}; the closest has these problems"
    return Misfit(problems=[([], summary), *closest.problems])


def _choose_object(value: Mapping[str, Json], candidates: Sequence[Node], expected: str) -> object:
    """Choose among classes: by tag, else the one that fits with the fewest properties left out."""
    tagged = [member for member in candidates if _tag_fits(member.complete, value)]
    if len(tagged) == 1:
        return tagged[0].load(value)
    fitting: list[tuple[int, int, object, Node]] = []
    errors: list[Misfit] = []
    for member in candidates:
        try:
            result = member.load(value)
        except Misfit as error:
            errors.append(error)
        else:
            member = member.complete  # noqa: PLW2901  # the reference has served
            fitting.append((member.rank, len(member.properties or ()), result, member))
    if not fitting:
        raise _none_fits(value, errors, expected)
    fitting.sort(key=lambda entry: entry[:2])
    first = fitting[0]
    equal = [entry for entry in fitting if entry[:2] == first[:2] and entry[3].properties is not None]
    if len(equal) > 1:
        missing = [name for entry in equal for name in entry[3].properties or () if name not in value]
        names = listed([entry[3].expected for entry in equal], last="and")
        raise Misfit(f"found an object that fits {names} equally, expected one of them: add {listed(missing)}")
    return first[2]


def _tag_fits(member: Node, value: Mapping[str, Json]) -> bool:
    """Return whether the class has required properties with constants, and the value has their values."""
    tags = [(name, node.constants) for name, node in (member.properties or {}).items() if node.constants is not None]
    tags = [(name, constants) for name, constants in tags if name in member.required]
    return bool(tags) and all(_is_constant(value.get(name), constants) for name, constants in tags)


def _is_constant(value: Json, constants: Mapping[tuple[type, Json], object] | None) -> bool:
    return constants is not None and isinstance(value, str | int | float | None) and (type(value), value) in constants


def are_alike(one: Node, other: Node) -> bool:
    """Return whether two classes have the same properties, and nothing in them tells the classes apart."""
    if one.properties is None or other.properties is None or set(one.properties) != set(other.properties):
        return False
    return not any(_are_disjoint(node, other.properties[name]) for name, node in one.properties.items() if name in one.required)


def _are_disjoint(one: Node, other: Node) -> bool:
    if one.constants is not None and other.constants is not None:
        return not set(one.constants) & set(other.constants)
    numbers = frozenset({"integer", "number"})
    kinds = [node.kinds | (numbers if node.kinds & numbers else frozenset()) for node in (one, other)]
    if not kinds[0] & kinds[1]:
        return True
    if one.properties is not None and other.properties is not None:
        return not are_alike(one, other)
    return False


def described(node: Node, description: str) -> Node:
    """Return the node with a description in its schema."""
    return evolve(node, schema=lambda render: {**node.schema(render), "description": description})


def nearest_of(name: str, known: Sequence[str]) -> str:
    """Return what to say after an unknown name."""
    return did_you_mean(name, known) or (f"; known are {listed(known, last='and')}" if known else "; there are none")
