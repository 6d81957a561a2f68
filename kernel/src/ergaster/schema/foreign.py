"""Schemas that others wrote: raw JSON Schema, and pydantic models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ergaster.errors import SchemaError
from ergaster.messages import Json, JsonObject
from ergaster.schema.containers import nearest_of
from ergaster.schema.misfits import MAX_PROBLEMS, Misfit, Problem, check_depth, found, listed
from ergaster.schema.nodes import Load, Node, Render, Schema
from ergaster.schema.scalars import ANY

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

__all__ = ["pydantic_node", "raw_load"]

_BACKTRACKS = 10_000
"""Steps that a pattern with look-around may take; patterns without it are matched in linear time."""

_TYPES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "array": "an array",
    "object": "an object",
}

_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} properties",
    "maxProperties": "at most {} properties",
    "pattern": "text that matches the pattern {}",
    "uniqueItems": "each item once",
    "falseSchema": "nothing here",
}


def raw_load(schema: JsonObject) -> Load:
    """Return a loader that checks values against a JSON Schema and returns them as they are.

    The schema may come from a stranger: nothing is fetched for it, and its patterns cannot take for ever.

    Raises:
        SchemaError: If it is no valid JSON Schema.
    """
    import jsonschema_rs

    error: Exception | None = None
    for options in (jsonschema_rs.RegexOptions(), jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS)):
        try:
            check_depth(schema)
            validator = jsonschema_rs.validator_for(dict(schema), pattern_options=options, offline=True)
            break
        except (Misfit, ValueError, TypeError) as caught:  # a ValidationError is a ValueError
            error = caught
    else:
        raise SchemaError(f"this is no valid JSON Schema: {str(error)[:500]}") from error

    def load(value: Json) -> Json:
        check_depth(value)
        problems: list[Problem] = []
        try:
            for problem in validator.iter_errors(value):
                problems += _problems(problem, schema)
                if len(problems) > MAX_PROBLEMS:
                    break
        except (ValueError, TypeError, OverflowError) as caught:
            raise Misfit(f"found a value that cannot be checked ({str(caught)[:200]}), expected a JSON value") from caught
        if problems:
            raise Misfit(problems=problems)
        return value

    return load


def _problems(error: ValidationError, schema: JsonObject) -> list[Problem]:
    """Return what one error says, in the words that our own types use."""
    steps = list(reversed(error.instance_path))
    kind: Any = error.kind
    if kind.name == "required":
        return [([kind.property, *steps], "missing")]
    if kind.name in {"additionalProperties", "unevaluatedProperties"}:
        known = _known_fields(error, schema)
        return [([name, *steps], f"unknown field{nearest_of(name, known)}") for name in kind.unexpected]
    if kind.name in {"anyOf", "oneOf"} and getattr(kind, "context", None):
        branches = [[problem for inner in branch for problem in _problems(inner, schema)] for branch in kind.context]
        return (
            min(branches, key=len)
            if len(branches) == 1
            else [(steps, f"found {found(error.instance)}, expected {_either(branches)}")]
        )
    return [(steps, f"found {found(error.instance)}, expected {_expected(kind)}")]


def _expected(kind: Any) -> str:
    if kind.name == "type":
        return listed([_TYPES.get(name, name) for name in kind.types])
    if kind.name == "enum":
        return f"one of {listed([_shown(option) for option in kind.options])}"
    if kind.name == "const":
        return _shown(kind.expected_value)
    if kind.name in _LIMITS:
        return _LIMITS[kind.name].format(kind.value)
    return f"what {kind.name!r} in its schema says: {json.dumps(kind.value, default=str)[:200]}"


def _either(branches: Sequence[Sequence[Problem]]) -> str:
    """Return what each of several schemas would take."""
    parts = ["; ".join(text.partition(", expected ")[2] or text for _, text in branch) for branch in branches]
    return listed(list(dict.fromkeys(parts)))


def _shown(value: Json) -> str:
    return found(value).removeprefix("the text ").removeprefix("the number ")


def _known_fields(error: ValidationError, schema: Any) -> list[str]:
    """Return the properties that the schema beside the error names."""
    for step in error.schema_path[:-1]:
        try:
            schema = schema[step]
        except (KeyError, IndexError, TypeError):
            return []
    return list(schema.get("properties", ())) if isinstance(schema, Mapping) else []


def pydantic_node(kind: Any) -> Node:
    """Return the node of a pydantic model; its own schema and its own strict validation."""

    def load(value: Json) -> object:
        check_depth(value)
        try:
            text = json.dumps(value, allow_nan=False)
        except (ValueError, TypeError) as error:
            raise Misfit(f"found something that is no JSON value ({error}), expected {kind.__name__}") from error
        try:
            return kind.model_validate_json(text, strict=True)
        except ValueError as error:
            if not hasattr(error, "errors"):
                raise Misfit(f"refused: {error}") from error
            raise Misfit(problems=_pydantic_problems(error, value)) from error

    def schema(render: Render) -> Schema:
        written: Schema = kind.model_json_schema(ref_template="#/$defs/{model}")
        inner: dict[str, Schema] = written.pop("$defs", {})
        if render.is_counting or not inner:
            return written
        names = {name: render.claim(name) for name in inner}
        for name, definition in inner.items():
            render.definitions[names[name]] = _renamed(definition, names)
        renamed: Schema = _renamed(written, names)
        return renamed

    if getattr(kind, "__pydantic_root_model__", False):  # it may be of any kind
        return Node(load=load, schema=schema, expected=kind.__name__, kinds=ANY.kinds, rank=1)
    names: Mapping[str, Any] = kind.model_fields
    properties = {item.alias or name: ANY for name, item in names.items()}
    return Node(load=load, schema=schema, expected=kind.__name__, kinds=frozenset({"object"}), rank=1, properties=properties)


def _pydantic_problems(error: Any, value: Json) -> list[Problem]:
    problems: list[Problem] = []
    for item in error.errors(include_url=False, include_context=False):
        steps = list(reversed(item["loc"]))
        shown = "missing" if item["type"] == "missing" else f"found {found(item['input'])}, {item['msg'][:300]}"
        problems.append((steps, shown))
    return problems or [([], f"found {found(value)}, which does not fit")]


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    if isinstance(schema, dict):
        return {
            key: f"#/$defs/{names[item.removeprefix('#/$defs/')]}"
            if key == "$ref" and isinstance(item, str) and item.removeprefix("#/$defs/") in names
            else _renamed(item, names)
            for key, item in schema.items()
        }
    return [_renamed(item, names) for item in schema] if isinstance(schema, list) else schema
