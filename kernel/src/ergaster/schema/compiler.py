"""Type hints compiled to nodes."""

from __future__ import annotations

import collections
import enum
import re
import types
import typing
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
)
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from typing import Any, ClassVar

from attrs import define, evolve, field

from ergaster.errors import SchemaError
from ergaster.schema.constraints import Constraint, constrained, suits
from ergaster.schema.containers import (
    INTEGER_KEY,
    are_alike,
    array_node,
    described,
    mapping_node,
    tuple_node,
    union_node,
)
from ergaster.schema.hints import function_hints, hint_name
from ergaster.schema.misfits import listed
from ergaster.schema.nodes import Definition, Node, Render, Schema
from ergaster.schema.objects import (
    Property,
    class_description,
    class_properties,
    function_properties,
    is_supported_class,
    is_typed_dict,
    object_load,
    object_schema,
)
from ergaster.schema.scalars import ANY, SCALARS, constants_node, enum_node, path_node

__all__ = ["Compiler"]

_ARRAYS: Mapping[object, Callable[[list[object]], object] | None] = {
    list: None,
    Sequence: None,
    MutableSequence: None,
    Iterable: None,
    Collection: None,
    set: set,
    AbstractSet: set,
    MutableSet: set,
    frozenset: frozenset,
    collections.deque: collections.deque,
}
_MAPPINGS = frozenset({dict, Mapping, MutableMapping})
_WRAPPERS = frozenset({"Final", "Required", "NotRequired", "ReadOnly"})
_NEXT_STEP = (
    "use str, int, float, bool, a list or dict of such, Literal, an Enum, an attrs class, a dataclass or a TypedDict; "
    "a parameter that the model must not fill in is written Annotated[..., Inject('name')]"
)


@define
class Compiler:
    """Compiles the hints of one adapter; classes that it has met are reused, and may contain themselves.

    Attributes:
        scalars: The nodes of plain types.
        arrays: What makes each kind of collection from a list; None for the list itself.
        sets: Those of them in which an array must not have an item twice.
        word: What errors call a property of a class.
        is_recursive: Whether a class that contains itself was met.
    """

    scalars: ClassVar[Mapping[object, Node]] = SCALARS
    arrays: ClassVar[Mapping[object, Callable[[list[Any]], object] | None]] = _ARRAYS
    sets: ClassVar[frozenset[object]] = frozenset({set, frozenset, AbstractSet, MutableSet})
    word: str = "field"
    is_recursive: bool = False
    definitions: dict[object, Definition] = field(factory=dict)

    def root(self, hint: Any) -> tuple[Node, Definition | None]:
        """Return the node of a hint, and its definition if it is a class: at the root its schema is written in place."""
        node = self.node(hint, f"the schema of {hint_name(hint):.100}")
        try:
            return node, self.definitions.get(hint)
        except TypeError:  # a hint with notes that cannot be hashed is no class
            return node, None

    def node(self, hint: Any, where: str) -> Node:
        """Return the node of a hint; *where* names the place in errors."""
        scalar = self.scalars.get(hint) if isinstance(hint, Hashable) and _is_plain(hint) else None
        if scalar is not None:
            return scalar
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            return self._annotated(hint, where)
        if origin is typing.Union or origin is types.UnionType:
            return self._union(arguments, where)
        if origin is typing.Literal:
            return self._literal(arguments, where)
        if isinstance(hint, typing.TypeVar):
            return self._type_variable(hint, where)
        meant = arguments[0] if getattr(origin, "_name", None) in _WRAPPERS else getattr(hint, "__supertype__", None)
        if meant is not None:  # Final[...], a NewType
            return self.node(meant, where)
        if type(hint).__name__ == "TypeAliasType":
            return self._alias(hint, where)
        return self._collection(hint, origin, arguments, where) or self._class(hint, origin, arguments, where)

    def _annotated(self, hint: Any, where: str) -> Node:
        node = self.node(hint.__origin__, where)
        for note in _flattened(hint.__metadata__):
            if isinstance(note, Node):
                node = note
            elif isinstance(note, str) or type(note).__name__ == "Doc":
                node = described(node, str(getattr(note, "documentation", note)))
            elif (limit := _as_constraint(note)) is not None:
                if not suits(node, limit):
                    raise SchemaError(
                        f"{where}: {note!r} says nothing about {hint_name(hint.__origin__)}; remove it or change the type"
                    )
                node = constrained(node, limit)
        return node

    def _union(self, members: Sequence[object], where: str) -> Node:
        ordered = [member for member in members if member is not type(None)]
        if len(ordered) < len(members):
            ordered.append(type(None))
        nodes = [self.node(member, where) for member in ordered]
        for index, one in enumerate(nodes):
            for other in nodes[:index]:
                if are_alike(other, one):
                    raise SchemaError(
                        f"{where}: nothing tells {other.expected} and {one.expected} apart; "
                        "give each a field such as `kind: Literal['…']` with a value of its own"
                    )
        return nodes[0] if len(nodes) == 1 else union_node(nodes)

    def _literal(self, values: Sequence[object], where: str) -> Node:
        pairs = [(value.value if isinstance(value, enum.Enum) else value, value) for value in values]
        for shown, value in pairs:
            if not isinstance(shown, str | int | float | None):
                raise SchemaError(f"{where}: the literal {value!r} is no JSON value; use text, numbers, true, false or None")
        return constants_node(pairs)

    def _type_variable(self, variable: Any, where: str) -> Node:
        if variable.__constraints__:
            return self._union(variable.__constraints__, where)
        if variable.__bound__ is not None:
            return self.node(variable.__bound__, where)
        raise SchemaError(f"{where}: the type variable {variable} stands for any type; write the type that is meant")

    def _alias(self, alias: Any, where: str) -> Node:
        if (known := self.definitions.get(alias)) is not None:
            return self._reference(known)
        definition = self.definitions[alias] = Definition(alias.__name__, kinds=ANY.kinds)
        node = self.node(alias.__value__, where)
        definition.node, definition.body = node, node.schema
        return evolve(node, schema=definition.schema)

    def _collection(self, hint: Any, origin: Any, arguments: tuple[Any, ...], where: str) -> Node | None:
        kind = origin or hint
        if kind is tuple:
            if len(arguments) == 2 and arguments[1] is Ellipsis:
                return array_node(self.node(arguments[0], where), tuple)
            if not arguments and hint is tuple:
                return array_node(ANY, tuple)
            return tuple_node([self.node(argument, where) for argument in arguments])
        if kind in self.arrays:
            item = self.node(arguments[0], where) if arguments else ANY
            return array_node(item, self.arrays[kind], unique=kind in self.sets)
        if kind in _MAPPINGS:
            key, value = arguments or (str, Any)
            return mapping_node(self._key(key, where), self.node(value, where))
        return None

    def _key(self, hint: Any, where: str) -> Node | None:
        if hint is str or hint is Any:
            return None
        if hint is int:
            return INTEGER_KEY
        node = self.node(hint, where)
        if node.kinds != {"string"}:
            raise SchemaError(
                f"{where}: keys of a JSON object are text, not {hint_name(hint)}; use str, int, an Enum or a Literal"
            )
        return node

    def _class(self, hint: Any, origin: Any, arguments: tuple[Any, ...], where: str) -> Node:
        kind = origin or hint
        if isinstance(kind, type):
            if issubclass(kind, enum.Enum) and not issubclass(kind, enum.Flag):
                return self.finished(kind, enum_node(kind, class_description(kind)))
            if issubclass(kind, PurePath):
                return self.finished(kind, path_node(kind))
            if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_validate_json"):
                from ergaster.schema.foreign import pydantic_node

                return self.finished(kind, pydantic_node(kind))
            if is_supported_class(kind):
                return self._fields(hint, kind, arguments)
        if isinstance(hint, str | typing.ForwardRef):
            raise SchemaError(
                f"{where}: the name {getattr(hint, '__forward_arg__', hint)!r} stands for no type here; write the class itself"
            )
        return self.other(hint, kind, where)

    def _reference(self, definition: Definition) -> Node:
        if definition.node is not None:
            return evolve(definition.node, schema=definition.schema)
        self.is_recursive = True
        kinds = definition.kinds
        return Node(
            load=definition.load, schema=definition.schema, expected=definition.name, kinds=kinds, rank=1, refers_to=definition
        )

    def _fields(self, hint: Any, kind: type, arguments: tuple[Any, ...]) -> Node:
        if (known := self.definitions.get(hint)) is not None:
            return self._reference(known)
        definition = self.definitions[hint] = Definition(_definition_name(hint))
        scope = _type_arguments(kind, arguments)
        properties = [evolve(prop, hint=_substituted(prop.hint, scope)) for prop in class_properties(kind)]
        description, build = class_description(kind), None if is_typed_dict(kind) else lambda values: kind(**values)
        where = f"the class {kind.__qualname__}, field"
        node = evolve(self._object(properties, where, build, self.word, description), expected=definition.name, rank=1)
        node = self.finished(kind, node)
        definition.body, definition.node = node.schema, evolve(node, schema=definition.schema)
        return definition.node

    def function(self, function: Callable[..., object], skip: frozenset[str], names: Mapping[str, object]) -> Node:
        """Return the node of a function's arguments, which loads to a dictionary of them."""
        where = f"the function {getattr(function, '__qualname__', function)!s}(),"
        hints = {name: hint for name, hint in function_hints(function, names).items() if name not in skip}
        return self._object(function_properties(function, skip, hints), where, None, "argument")

    def _object(
        self,
        properties: Sequence[Property],
        where: str,
        build: Callable[[dict[str, object]], object] | None,
        word: str,
        description: str = "",
    ) -> Node:
        nodes = {prop.name: self.node(prop.hint, f"{where} {prop.name!r}") for prop in properties}
        rest_name = next((prop.name for prop in properties if prop.collects), "")
        rest = nodes.pop(rest_name, None)
        named = [(prop, nodes[prop.name]) for prop in properties if not prop.collects]
        required = frozenset(prop.name for prop, _ in named if prop.required)

        def schema(render: Render) -> Schema:
            written = object_schema(named, required, render, rest)
            return {**written, "description": description} if description else written

        return Node(
            load=object_load(nodes, required, build, word=word, rest=rest, rest_name=rest_name if build else ""),
            schema=schema,
            expected="an object with the arguments",
            kinds=frozenset({"object"}),
            properties=nodes,
            required=required,
        )

    def finished(self, kind: type, node: Node) -> Node:
        """Return the node of an enumeration, a path or a class with fields, changed as this compiler wants it."""
        return node

    def other(self, hint: Any, kind: object, where: str) -> Node:
        """Return the node of a hint that is nothing else."""
        raise SchemaError(f"{where}: the type {hint_name(hint)} cannot become a JSON Schema; {_NEXT_STEP}")


def _definition_name(hint: Any) -> str:
    """Return `Box_int` for `Box[int]`."""
    arguments = typing.get_args(hint)
    name = getattr(hint, "__name__", str(hint)) if not arguments else getattr(typing.get_origin(hint), "__name__", "Union")
    return re.sub(r"\W+", "_", "_".join([name, *map(_definition_name, arguments)])).strip("_")


def _is_plain(hint: object) -> bool:
    """Return whether a dictionary of hints may be asked: the hint is a class or a name of `typing`, not something generic."""
    return isinstance(hint, type) or hint is None or hint is Any


def _flattened(metadata: Iterable[object]) -> Iterable[object]:
    """Yield the notes on a type; a field object of pydantic's kind holds a description and more notes."""
    for note in metadata:
        if isinstance(getattr(note, "metadata", None), list) and hasattr(note, "description"):
            yield from note.metadata  # type: ignore[attr-defined]  # the caller has looked
            if note.description:
                yield note.description
        else:
            yield note


def _as_constraint(note: object) -> Constraint | None:
    """Return a note as a constraint; those of `annotated_types` are known by their attributes, without importing it."""
    if isinstance(note, Constraint):
        return note
    if type(note).__module__ != "annotated_types":
        return None
    names = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length")
    limits: dict[str, Any] = {name: getattr(note, name) for name in names if getattr(note, name, None) is not None}
    if not limits and type(note).__name__ not in {"MinLen", "Len", "Interval"}:
        raise SchemaError(f"{note!r} cannot become JSON Schema; use one of {listed(names)}, or check it in the function")
    return Constraint(**limits)


def _type_arguments(kind: Any, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Return what the type variables of a generic class and of its bases stand for."""
    scope = dict(zip(getattr(kind, "__parameters__", ()), arguments, strict=False))
    for base in getattr(kind, "__orig_bases__", ()):
        origin = typing.get_origin(base)
        if origin is not None and origin is not typing.Generic:
            given = tuple(_substituted(argument, scope) for argument in typing.get_args(base))
            scope = {**_type_arguments(origin, given), **scope}
    return scope


def _substituted(hint: Any, scope: Mapping[Any, Any]) -> Any:
    if isinstance(hint, typing.TypeVar):
        return scope.get(hint, hint)
    parameters = () if isinstance(hint, type) and not typing.get_args(hint) else getattr(hint, "__parameters__", ())
    if not scope or not parameters:
        return hint
    return hint[tuple(scope.get(parameter, parameter) for parameter in parameters)]
