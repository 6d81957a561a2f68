"""Nodes of objects with named properties: the arguments of a function, and the fields of classes."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from attrs import frozen

from ergaster.errors import InvalidInput, SchemaError
from ergaster.messages import Json
from ergaster.schema.containers import nearest_of
from ergaster.schema.docstrings import parse_docstring
from ergaster.schema.dumping import dump
from ergaster.schema.hints import class_hints, function_doc
from ergaster.schema.misfits import MAX_PROBLEMS, Misfit, Problem, misfit
from ergaster.schema.nodes import DERIVED, REST, Load, Node, Render, Schema

__all__ = [
    "NO_DEFAULT",
    "Property",
    "class_description",
    "class_properties",
    "is_supported_class",
    "object_load",
    "object_schema",
]


NO_DEFAULT: Any = dataclasses.MISSING
"""Stands where no default can be shown; `Any`, since every value may be a default."""


@frozen(kw_only=True)
class Property:
    """One property of an object.

    Attributes:
        name: Its name in JSON, and the keyword by which Python takes it.
        hint: Its type hint.
        required: Whether it must be there.
        default: What it is when left out, for the schema to show.
        description: For the model to read.
        collects: Whether it takes all properties that are no others; its hint is the type of a mapping.
    """

    name: str
    hint: object
    required: bool = True
    default: Any = NO_DEFAULT
    description: str = ""
    collects: bool = False


def object_load(
    properties: Mapping[str, Node],
    required: frozenset[str],
    build: Callable[[dict[str, object]], object] | None,
    *,
    word: str,
    rest: Node | None = None,
    rest_name: str = "",
) -> Load:
    """Return the loader of an object.

    Args:
        properties: The compiled type of each property.
        required: Names of those that must be there.
        build: Makes the result of the loaded properties; None returns them as they are.
        word: What a property is called in sentences: `argument` or `field`.
        rest: Compiled type of the mapping of all other properties; None refuses them.
        rest_name: Under which name *build* takes that mapping; empty to put the others beside the known ones.
    """
    loads = {name: node.load for name, node in properties.items()}

    def load(value: Json) -> object:
        if not isinstance(value, Mapping):
            raise misfit(value, "an object")
        result: dict[str, object] = {}
        others: dict[str, Json] = {}
        problems: list[Problem] = []
        for name, item in value.items():
            if len(problems) > MAX_PROBLEMS:
                break
            load_item = loads.get(name)
            if load_item is None or type(name) is not str:
                if rest is not None and type(name) is str:
                    others[name] = item
                else:
                    problems.append(([str(name)], f"unknown {word}{nearest_of(str(name), list(loads))}"))
                continue
            try:
                result[name] = load_item(item)
            except Misfit as error:
                problems += _explained(error, name, item, required)
        if rest is not None:
            try:
                found: Any = rest.load(others)
                result |= {rest_name: found} if rest_name else found
            except Misfit as error:
                problems += error.problems
        if problems or not required <= result.keys():
            absent = required - value.keys()
            problems += [([name], f"missing, expected {node.expected}") for name, node in properties.items() if name in absent]
            raise Misfit(problems=problems)
        return result if build is None else _built(build, result)

    return load


def _explained(error: Misfit, name: str, value: Json, required: frozenset[str]) -> list[Problem]:
    problems = error.below(name)
    if value is None and name not in required and len(problems) == 1:
        return [(problems[0][0], f"{problems[0][1]}; leave it out for its default")]
    return problems


def _built(build: Callable[[dict[str, object]], object], values: dict[str, object]) -> object:
    try:
        return build(values)
    except Misfit:
        raise
    except Exception as error:  # boundary: a class's own checks refuse the value
        said = error.args[0] if any(isinstance(item, attrs.Attribute) for item in error.args[1:]) else error
        raise Misfit(f"refused: {str(said) or type(error).__name__}") from error


def object_schema(
    properties: Iterable[tuple[Property, Node]], required: frozenset[str], render: Render, rest: Node | None = None
) -> Schema:
    """Return the schema of an object; every property keeps its description and its default."""
    written = {prop.name: _property_schema(prop, node.schema(render)) for prop, node in properties}
    schema: Schema = {"type": "object", "properties": written}
    if required:
        schema["required"] = [name for name in written if name in required]
    return schema | ({"additionalProperties": False} if rest is None else rest.schema(render))


def _property_schema(prop: Property, schema: Schema) -> Schema:
    if prop.description:
        schema = {**schema, "description": prop.description}
    if prop.default is not NO_DEFAULT:
        try:
            schema = {**schema, "default": dump(prop.default)}
        except InvalidInput:  # a default that is no JSON value is Python's own affair
            pass
    return schema


def is_supported_class(kind: type) -> bool:
    """Return whether the class has fields that we can read."""
    return attrs.has(kind) or dataclasses.is_dataclass(kind) or is_typed_dict(kind) or is_named_tuple(kind)


def is_typed_dict(kind: type) -> bool:
    """Return whether it is a TypedDict, of `typing` or of `typing_extensions`."""
    return issubclass(kind, dict) and hasattr(kind, "__required_keys__")


def is_named_tuple(kind: type) -> bool:
    """Return whether it is a NamedTuple with type hints."""
    return issubclass(kind, tuple) and hasattr(kind, "_fields") and hasattr(kind, "_field_defaults")


def class_description(kind: type) -> str:
    """Return the description of a class for the model; a signature that a decorator wrote is none."""
    text = kind.__dict__.get("__doc__") or ""
    return "" if text.startswith(f"{kind.__name__}(") else parse_docstring(text).description


def class_properties(kind: type) -> list[Property]:
    """Return the properties of a supported class, in the order of its fields."""
    hints = class_hints(kind)
    notes: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        notes.update(parse_docstring(base.__dict__.get("__doc__") or "").params)
    if attrs.has(kind):
        properties = [
            _attrs_property(kind, item, hints) for item in attrs.fields(kind) if item.init and DERIVED not in item.metadata
        ]
    elif dataclasses.is_dataclass(kind):
        properties = _dataclass_properties(kind, hints)
    elif is_typed_dict(kind):
        properties = [_typed_dict_property(kind, name, hints[name]) for name in hints]
    else:
        defaults: Mapping[str, object] = kind._field_defaults  # type: ignore[attr-defined]  # a NamedTuple has it
        names: Iterable[str] = kind._fields  # type: ignore[attr-defined]  # a NamedTuple has it
        properties = [
            Property(
                name=name, hint=hints.get(name, Any), required=name not in defaults, default=defaults.get(name, NO_DEFAULT)
            )
            for name in names
        ]
    return [
        attrs.evolve(prop, description=prop.description or notes.get(prop.name) or notes.get(f"_{prop.name}", ""))
        for prop in properties
    ]


def _attrs_property(kind: type, item: attrs.Attribute[Any], hints: Mapping[str, object]) -> Property:
    hint = hints.get(item.name, item.type)
    if hint is None and item.type is None and item.name not in hints:
        raise SchemaError(f"the class {kind.__qualname__}, field {item.name!r}: it has no type hint; write one")
    default: Any = NO_DEFAULT if item.default is attrs.NOTHING else item.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
        default = _empty(None if default.takes_self else default.factory)
    return Property(
        name=item.alias or item.name,
        hint=hint,
        required=item.default is attrs.NOTHING,
        default=default,
        description=str(item.metadata.get("description", "")),
        collects=REST in item.metadata,
    )


def _dataclass_properties(kind: type, hints: Mapping[str, object]) -> list[Property]:
    properties = []
    for item in dataclasses.fields(kind):
        if not item.init:
            continue
        has_factory = item.default_factory is not dataclasses.MISSING
        has_default = item.default is not dataclasses.MISSING
        properties.append(
            Property(
                name=item.name,
                hint=hints.get(item.name, item.type),
                required=not has_factory and not has_default,
                default=item.default if has_default else _empty(item.default_factory),
                description=str(item.metadata.get("description", "")),
            )
        )
    if any(isinstance(hint, dataclasses.InitVar) for hint in hints.values()):
        raise SchemaError(f"the class {kind.__qualname__} has an InitVar, which cannot be written back; use a plain field")
    return properties


def _typed_dict_property(kind: Any, name: str, hint: object) -> Property:
    required = name in kind.__required_keys__
    while (origin := typing.get_origin(hint)) is not None and _qualifier(origin) in {"Required", "NotRequired", "ReadOnly"}:
        if _qualifier(origin) != "ReadOnly":
            required = _qualifier(origin) == "Required"
        hint = typing.get_args(hint)[0]
    return Property(name=name, hint=hint, required=required)


def _qualifier(origin: object) -> str:
    return getattr(origin, "_name", None) or ""


def _empty(factory: object) -> Any:
    """Return the empty collection that a factory makes; what others make is not shown."""
    return factory() if factory in (list, dict, tuple, set, frozenset) else NO_DEFAULT


def function_properties(function: Callable[..., object], skip: frozenset[str], hints: Mapping[str, object]) -> list[Property]:
    """Return the parameters of a function that a model may fill in."""
    where = f"the function {getattr(function, '__qualname__', function)!s}()"
    notes = parse_docstring(function_doc(function)).params
    properties = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in skip:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise SchemaError(f"{where}, '*{parameter.name}': a model names its arguments; take a list[...] instead")
        if parameter.name not in hints:
            raise SchemaError(
                f"{where}, {parameter.name!r}: it has no type hint; write one, such as `{parameter.name}: str`, "
                f"or `{parameter.name}: Any` for every JSON value"
            )
        if parameter.kind is parameter.VAR_KEYWORD and typing.get_origin(hints[parameter.name]) is typing.Unpack:
            properties += class_properties(typing.get_args(hints[parameter.name])[0])
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            others = types.GenericAlias(dict, (str, hints[parameter.name]))
            properties.append(Property(name=parameter.name, hint=others, required=False, collects=True))
            continue
        hint, default = hints[parameter.name], parameter.default
        if default is None and hint is not Any:
            hint = typing.Optional[hint]  # noqa: UP045  # a hint need not be a class; `x: int = None` means it
        properties.append(
            Property(
                name=parameter.name,
                hint=hint,
                required=default is parameter.empty,
                default=NO_DEFAULT if default is parameter.empty else default,
                description=notes.get(parameter.name, ""),
            )
        )
    return properties
