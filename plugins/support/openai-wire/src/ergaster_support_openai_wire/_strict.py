"""Which JSON Schemas fit the strict rules of structured output."""

from __future__ import annotations

from collections.abc import Mapping

from ergaster.messages import Json, JsonObject

__all__ = ["fits_strict"]

_REFUSED = ("oneOf", "allOf", "not", "if", "patternProperties", "dependentRequired", "prefixItems")


def fits_strict(schema: JsonObject) -> bool:
    """Say whether every object in *schema* is closed and requires all its properties.

    Only such a schema may be sent with `strict`; another one would be refused by the provider, and rewriting it would
    let the model answer what the schema does not allow.
    """
    return schema.get("type") == "object" and _fits(schema)


def _fits(schema: Json) -> bool:
    if not isinstance(schema, Mapping):
        return False
    if not schema or any(word in schema for word in _REFUSED):
        return False
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
    nested = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("$defs", {}).values()]
    if "items" in schema:
        nested.append(schema["items"])
    return all(_fits(part) for part in nested)
