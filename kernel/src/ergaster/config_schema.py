"""The JSON Schema of `ergaster.toml`, made from the classes that read it."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from ergaster.config import NAME_PATTERN, RESERVED, TABLES_OF_NAMES, AgentConfig, Config, ModelConfig, PluginUse
from ergaster.structure import REST, field_types, init_fields

__all__ = ["schema_of_config"]

Schema = dict[str, Any]

_USES: Final = (PluginUse, ModelConfig)
"""Classes with a short form; defined once in the schema."""

_REF: Final = r"^([A-Za-z][A-Za-z0-9_.+-]*(:[\s\S]+)?|[\s\S]*\$\{env:[\s\S]*)$"
_DOCUMENTED = re.compile(r"^    (\w+): (.*(?:\n        .*)*)", re.MULTILINE)
_SCALARS: Final[dict[object, Schema]] = {
    object: {},
    Any: {},
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Decimal: {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$"}]},
}


def schema_of_config() -> Schema:
    """Return the schema, draft 2020-12, with a description of every key."""
    root = _of_class(Config)
    for table in TABLES_OF_NAMES:
        root["properties"][table]["propertyNames"] = {"pattern": NAME_PATTERN}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ergaster.toml",
        **root,
        "$defs": {cls.__name__: _of_use(cls) for cls in _USES},
    }


def _of(hint: Any) -> Schema:
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    if hint in _USES:
        return {"$ref": f"#/$defs/{hint.__name__}"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _of_union([item for item in arguments if item is not type(None)])
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is not None and issubclass(origin, Mapping):
        return _of_mapping(*arguments)
    if origin is not None:
        return {"type": "array", "items": _of(arguments[0])}
    return _of_class(hint) if attrs.has(hint) else {}


def _of_union(members: list[Any]) -> Schema:
    return _of(members[0]) if len(members) == 1 else {"anyOf": [_of(item) for item in members]}


def _of_mapping(key: Any, item: Any) -> Schema:
    schema: Schema = {"type": "object"}
    if item is not object and item is not Any:
        schema["additionalProperties"] = _of(item)
    if get_origin(key) is Literal:
        schema["propertyNames"] = _of(key)
    return schema


def _of_class(cls: type) -> Schema:
    hints, words = field_types(cls), _described(cls)
    schema: Schema = {"type": "object", "description": (inspect.getdoc(cls) or "").partition("\n")[0], "properties": {}}
    for name, attribute in init_fields(cls).items():
        if attribute.metadata.get("ergaster.derived"):
            continue
        if REST in attribute.metadata:
            schema["additionalProperties"] = _of(get_args(hints[attribute.name])[1])
            continue
        schema["properties"][name] = {**_of(hints[attribute.name]), "description": words.get(name, "")}
        if attribute.default is attrs.NOTHING:
            schema.setdefault("required", []).append(name)
    schema.setdefault("additionalProperties", False)
    if cls is AgentConfig:
        schema["propertyNames"] = {"not": {"enum": sorted(RESERVED)}}
    return schema


def _of_use(cls: type) -> Schema:
    """A plugin is named by a string, or by a table with `use`."""
    table = _of_class(cls)
    table["properties"]["use"]["pattern"] = _REF
    return {"anyOf": [{"type": "string", "pattern": _REF}, table]}


def _described(cls: type) -> dict[str, str]:
    """Return what the section `Attributes` of a docstring says of each field."""
    section = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2]
    return {name: " ".join(text.split()) for name, text in _DOCUMENTED.findall(section)}
