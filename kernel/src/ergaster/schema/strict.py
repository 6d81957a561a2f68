"""The strict form of a JSON Schema, which some providers demand before they guarantee it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ergaster.errors import Unsupported
from ergaster.messages import Json, JsonObject

__all__ = ["strict_schema", "without_nulls"]

_KEPT = frozenset(
    {
        "type", "enum", "const", "items", "anyOf", "$ref", "$defs", "description", "title", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "pattern",
    }
)  # fmt: skip
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_REFUSED = frozenset(
    {
        "allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties",
        "propertyNames", "prefixItems", "contains", "unevaluatedProperties", "unevaluatedItems", "minProperties",
        "maxProperties",
    }
)  # fmt: skip
_TOLD = {
    "default": "Default: {}.",
    "minLength": "At least {} characters.",
    "maxLength": "At most {} characters.",
    "format": "Format: {}.",
    "contentEncoding": "Encoded as {}.",
    "uniqueItems": "Each item once.",
}


def strict_schema(schema: JsonObject) -> JsonObject:
    """Return a schema in which every property is required, optional ones may be null, and nothing else may be added.

    Keywords that the strict form has no room for, but that only explain or narrow a value (a default, a length), go into
    the description; the kernel checks them again when it loads the value. Use `without_nulls` on what comes back.

    Raises:
        Unsupported: If the schema cannot be said strictly: free-form objects, values of any type, fixed tuples of
            different types, `allOf` and the like.
    """
    if schema.get("type") != "object":
        raise Unsupported("the strict form needs an object at the root; wrap the value in an object with one property")
    return _strict(schema, "the schema")


def _strict(schema: Any, where: str) -> dict[str, Json]:
    if not isinstance(schema, Mapping) or not set(schema) & {"type", "enum", "const", "anyOf", "oneOf", "$ref"}:
        raise Unsupported(f"{where}: the strict form cannot say 'any value'; give it a type")
    if refused := sorted(set(schema) & _REFUSED):
        raise Unsupported(f"{where}: the strict form has no {refused[0]!r}; use a plainer type or switch strict off")
    if schema.get("type") == "array" and "items" not in schema:
        raise Unsupported(f"{where}: the strict form has no arrays of anything; say what the items are")
    written: dict[str, Json] = {}
    for word, value in schema.items():
        if word in {"anyOf", "oneOf"}:
            written["anyOf"] = [_strict(member, where) for member in value]
        elif word == "items":
            written["items"] = _strict(value, f"{where}[]")
        elif word == "$defs":
            written["$defs"] = {name: _strict(inner, name) for name, inner in value.items()}
        elif word in _KEPT or (word == "format" and value in _FORMATS):
            written[word] = value
    notes = [
        _TOLD[word].format(json.dumps(value, ensure_ascii=False))
        for word, value in schema.items()
        if word in _TOLD and word not in written
    ]
    if schema.get("type") == "object":
        written |= _strict_object(schema, where)
    if notes:
        written["description"] = " ".join([*([written["description"]] if "description" in written else []), *notes])
    if "$ref" in written and len(written) > 1:  # beside a reference nothing else may stand
        reference = {"$ref": written.pop("$ref")}
        written = {"anyOf": [reference], **written}
    return written


def _strict_object(schema: Mapping[str, Any], where: str) -> dict[str, Json]:
    if schema.get("additionalProperties") or ("additionalProperties" not in schema and "properties" not in schema):
        raise Unsupported(f"{where}: the strict form has no free-form objects; name the fields, or take an array of pairs")
    properties: dict[str, Json] = {}
    required = frozenset(schema.get("required", ()))
    for name, inner in schema.get("properties", {}).items():
        strict = _strict(inner, f"{where}, {name!r}")
        properties[name] = strict if name in required else _nullable(strict)
    return {"properties": properties, "required": list(properties), "additionalProperties": False}


def _nullable(schema: dict[str, Json]) -> dict[str, Json]:
    null = {"type": "null"}
    if _takes_null(schema):
        return schema
    outer: dict[str, Json] = {word: schema.pop(word) for word in ("description", "title") if word in schema}
    members = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {"anyOf": [*members, null], **outer}


def _takes_null(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    if "enum" in schema:
        return None in schema["enum"]
    return kind == "null" or (isinstance(kind, list) and "null" in kind) or any(map(_takes_null, schema.get("anyOf", ())))


def without_nulls(schema: JsonObject, value: Json) -> Json:
    """Return a value that was written for `strict_schema(schema)` as *schema* wants it.

    A null in the place of an optional property that cannot be null means that the property is left out.
    """
    return _relaxed(schema, schema, value)


def _relaxed(schema: Any, root: JsonObject, value: Json) -> Json:
    schema = _resolved(schema, root)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_relaxed(schema["items"], root, item) for item in value]
    if not isinstance(value, dict):
        return value
    members = [_resolved(member, root) for member in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    matching = [member for member in members if set(value) == set(member.get("properties", ()))]
    if matching:
        schema = matching[0]
    properties, required = schema.get("properties", {}), schema.get("required", ())
    kept = {}
    for name, item in value.items():
        inner = properties.get(name, {})
        if item is None and name not in required and name in properties and not _takes_null(_resolved(inner, root)):
            continue
        kept[name] = _relaxed(inner, root, item)
    return kept


def _resolved(schema: Any, root: JsonObject) -> Mapping[str, Any]:
    if not isinstance(schema, Mapping):
        return {}
    reference = schema.get("$ref", "")
    return root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), schema) if reference else schema
