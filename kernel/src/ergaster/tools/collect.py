"""What users hand in as tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Unpack

from ergaster.contracts.toolkit import Invoke, Tool, Toolkit
from ergaster.errors import SchemaError
from ergaster.messages import JsonObject
from ergaster.tools.calling import checked_arguments
from ergaster.tools.function import FunctionTool, ToolOptions, checked_effects, checked_name, function_tool

__all__ = ["as_tools", "schema_tool"]


def schema_tool(
    name: str, description: str, parameters: JsonObject, invoke: Invoke | None = None, **options: Unpack[ToolOptions]
) -> Tool:
    """Return a tool from a JSON Schema that somebody else wrote.

    Args:
        name: What the model calls it.
        description: When and how to use it, for the model to read.
        parameters: JSON Schema of an object; arguments are checked against it.
        invoke: Runs it; None for a tool that the caller carries out.
        options: Further attributes of `Tool`.

    Raises:
        SchemaError: If the name, an effect or the schema is not allowed.
    """
    from ergaster.schema import adapter_for

    if parameters.get("type", "object") != "object":
        raise SchemaError(f"the tool {name}: its parameters must be a JSON Schema of an object, {{'type': 'object', ...}}")
    load = adapter_for(parameters).load

    def validate(arguments: JsonObject) -> JsonObject:
        return checked_arguments(load, name, arguments)

    values: dict[str, Any] = {"external": invoke is None, **options}
    values["effects"] = checked_effects(options.get("effects", ()), name)
    return Tool(
        name=checked_name(name),
        description=description,
        parameters={"type": "object", "properties": {}, **parameters},
        invoke=invoke,
        validate=validate,
        **values,
    )


def as_tools(value: object) -> tuple[Tool, ...]:
    """Return what a user hands in as tools: a function, a `Tool`, a `Toolkit`, a mapping, or a list of such.

    A mapping has the keys `name`, `description` and `parameters`, and is a tool that the caller carries out. Schemas of
    functions are not read yet.

    Raises:
        SchemaError: If something is no tool, or two tools have the same name.
    """
    tools: dict[str, Tool] = {}
    for found in _each_tool(value):
        other = tools.setdefault(checked_name(found.name), found)
        if other is not found:
            raise SchemaError(
                f"two tools have the name {found.name!r}: {_origin(other)} and {_origin(found)}; "
                "rename one with `.replace(name=...)` or @tool(name=...)"
            )
    return tuple(tools.values())


def _each_tool(value: object) -> Iterator[Tool]:
    if isinstance(value, Tool):
        yield value
    elif isinstance(value, Toolkit):
        for found in value.tools():
            yield found if found.toolkit else found.replace(toolkit=type(value).__name__)
    elif isinstance(value, Mapping):
        yield _from_mapping(value)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _each_tool(item)
    elif isinstance(value, str):
        raise SchemaError(f"{value!r} is a name, not a tool; names are for Agent(tools=[{value!r}]), which resolves them")
    elif isinstance(value, type):
        raise SchemaError(f"{value.__name__} is a class; hand in an instance, {value.__name__}()")
    elif callable(value):
        yield function_tool(value)
    else:
        raise SchemaError(f"{value!r:.200} is no tool; hand in a function with type hints, a Tool or a Toolkit")


def _from_mapping(value: Mapping[str, Any]) -> Tool:
    known = {"name", "description", "parameters", "type"}
    if "name" not in value or "parameters" not in value or not set(value) <= known:
        raise SchemaError(
            f"a tool as a mapping has the keys name, description and parameters; this one has {', '.join(map(str, value))}"
        )
    return schema_tool(value["name"], value.get("description", ""), value["parameters"])


def _origin(made: Tool) -> str:
    if isinstance(made, FunctionTool):
        return f"{made.function.__module__}.{getattr(made.function, '__qualname__', made.name)}"
    return f"the toolkit {made.toolkit}" if made.toolkit else f"the tool {made.description[:60]!r}"
