"""JSON Schemas in the words that the API's grammar knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ergaster.messages import Json, JsonObject

__all__ = ["closed", "fits_grammar"]

_KNOWN = {
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "default",
    "definitions",
    "description",
    "enum",
    "format",
    "items",
    "properties",
    "required",
    "title",
    "type",
}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
_BY_NAME = ("properties", "$defs", "definitions")
_IN_LISTS = ("anyOf", "allOf")


def closed(schema: JsonObject) -> dict[str, Json]:
    """Return *schema* as a grammar can hold it: objects are closed, and bounds that no grammar knows become words.

    The kernel checks the answer against the schema itself, so nothing is lost by saying a bound instead of holding it.
    See https://platform.claude.com/docs/en/build-with-claude/structured-outputs for what the grammar knows.
    """
    kept: dict[str, Any] = {}
    spoken: list[str] = []
    for name, value in schema.items():
        if name == "oneOf":
            kept["anyOf"] = [_below(item) for item in value]
        elif name in _BY_NAME:
            kept[name] = {key: _below(item) for key, item in value.items()}
        elif name in _IN_LISTS:
            kept[name] = [_below(item) for item in value]
        elif name == "items":
            kept[name] = _below(value)
        elif _is_known(name, value):
            kept[name] = value
        elif name not in {"$schema", "$id", "$comment"}:
            spoken.append(f"{name}: {value}")
    if kept.get("type") == "object" or "properties" in kept:
        kept["additionalProperties"] = False
    if spoken:
        kept["description"] = " ".join([*filter(None, [kept.get("description")]), f"({', '.join(spoken)})"])
    return kept


def _below(value: Json) -> Json:
    return closed(value) if isinstance(value, Mapping) else value


def _is_known(name: str, value: Json) -> bool:
    if name == "format":
        return value in _FORMATS
    if name == "minItems":
        return value in {0, 1}
    return name in _KNOWN


def fits_grammar(schema: JsonObject) -> bool:
    """Say whether a grammar can hold *schema* at all: it has no objects with keys of any name, and no recursion."""
    return _fits(schema, schema, ())


def _fits(value: Json, root: JsonObject, open_refs: tuple[str, ...]) -> bool:
    if not isinstance(value, Mapping):
        return True
    if value.get("type") == "object" or "properties" in value:
        extra = value.get("additionalProperties", False)
        if "patternProperties" in value or isinstance(extra, Mapping) or not (extra is False or value.get("properties")):
            return False
        if "properties" not in value and "additionalProperties" not in value:
            return False
    reference = value.get("$ref")
    if isinstance(reference, str):
        target = _target(reference, root)
        if target is None or reference in open_refs or not _fits(target, root, (*open_refs, reference)):
            return False
    return all(_fits(item, root, open_refs) for item in _children(value))


def _children(value: JsonObject) -> Iterator[Json]:
    yield from (value.get("properties") or {}).values()
    for name in (*_IN_LISTS, "oneOf"):
        yield from value.get(name) or ()
    yield value.get("items")


def _target(reference: str, root: JsonObject) -> Json:
    place: Json = root
    for step in reference.removeprefix("#").split("/")[1:]:
        place = place.get(step) if isinstance(place, Mapping) else None
    return place if reference.startswith("#") else None
