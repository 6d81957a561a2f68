"""A compiled type: how it loads, how it shows in a schema, and what a union must know to choose it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import define, field, frozen

from ergaster.messages import Json

__all__ = ["DERIVED", "KIND_OF", "REST", "SHORT", "Definition", "Load", "Node", "Render", "Schema", "render"]

REST: Final = "ergaster.rest"
"""Metadata key of the one mapping field of an attrs class that takes every key which is no other field's."""

SHORT: Final = "ergaster.short"
"""Metadata key of the field of an attrs class whose value alone may stand for the whole object, where people write it."""

DERIVED: Final = "ergaster.derived"
"""Metadata key of a field of an attrs class that is no property: nobody writes it."""

Schema: TypeAlias = dict[str, Json]
Load: TypeAlias = Callable[[Json], object]
"""Returns the Python value, or raises `Misfit` with all problems."""

KIND_OF: Mapping[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    tuple: "array",
    dict: "object",
}
"""The JSON kind of a Python value by its exact type."""


@frozen(kw_only=True)
class Node:
    """A compiled type.

    Attributes:
        load: Checks a JSON value and returns the Python one.
        schema: Writes the JSON Schema.
        expected: What to say is expected, such as `an integer`.
        kinds: The JSON kinds that it takes.
        rank: In a union, lower ones are tried first: 0 constants, 1 texts with a grammar and classes, 2 plain values,
            3 what takes nearly everything of its kind.
        constants: The only values, as pairs of type and value, when there is a closed list of them.
        properties: The property names of a class, and the compiled type of each.
        required: Those of them that must be there.
        refers_to: The class, when this is a reference to one that contains it.
    """

    load: Load
    schema: Callable[[Render], Schema]
    expected: str
    kinds: frozenset[str]
    rank: int = 2
    constants: Mapping[tuple[type, Json], object] | None = None
    properties: Mapping[str, Node] | None = None
    required: frozenset[str] = frozenset()
    refers_to: Definition | None = None

    @property
    def complete(self) -> Node:
        """The node itself, or the one that a reference means."""
        return self if self.refers_to is None else self.refers_to.complete


def _unfinished(_: Render) -> Schema:
    raise AssertionError("a type is rendered only after it was compiled")


@define(eq=False)
class Definition:
    """A class on its way to a node; a recursive type refers to it before it is complete."""

    name: str
    kinds: frozenset[str] = frozenset({"object"})
    node: Node | None = None
    body: Callable[[Render], Schema] = _unfinished

    @property
    def complete(self) -> Node:
        """The node, once compilation has ended."""
        assert self.node is not None  # noqa: S101  # nothing loads before compilation has ended
        return self.node

    def load(self, value: Json) -> object:
        """Load through the node that is complete by then."""
        return self.complete.load(value)

    def schema(self, render: Render) -> Schema:
        """Write the schema in place, or a reference to it."""
        return render.class_schema(self)


@define
class Render:
    """Writes one schema: a class used once is written in place, others go to `$defs`.

    Attributes:
        uses: How often each class is used; counted in a first pass, whose result is thrown away.
        is_counting: Whether this is the first pass.
        definitions: `$defs` so far, by name.
    """

    uses: Counter[Definition] = field(factory=Counter)
    is_counting: bool = True
    definitions: dict[str, Schema] = field(factory=dict)
    _names: dict[Definition, str] = field(factory=dict)

    def class_schema(self, definition: Definition) -> Schema:
        """Return the schema of a class, or a reference to it."""
        if self.is_counting:
            self.uses[definition] += 1
            return definition.body(self) if self.uses[definition] == 1 else {}
        if self.uses[definition] < 2:
            return definition.body(self)
        name = self._names.get(definition)
        if name is None:
            name = self._names[definition] = self.claim(definition.name)
            self.definitions[name] = definition.body(self)
        return {"$ref": f"#/$defs/{name}"}

    def claim(self, name: str) -> str:
        """Reserve a name in `$defs`, numbered if it is taken."""
        unique, number = name, 1
        while unique in self.definitions:
            number += 1
            unique = f"{name}_{number}"
        self.definitions[unique] = {}
        return unique


def render(node: Node, definition: Definition | None) -> Schema:
    """Return the complete schema of a type; a class at the root, *definition*, is written in place."""
    body = node.schema if definition is None else definition.body
    counting = Render()
    if definition is not None:
        counting.uses[definition] += 1
    body(counting)
    writing = Render(uses=counting.uses, is_counting=False)
    schema = body(writing)
    return {**schema, "$defs": writing.definitions} if writing.definitions else schema
