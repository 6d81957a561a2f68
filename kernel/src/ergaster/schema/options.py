"""The dialect of what people write by hand, options and `ergaster.toml`: Python objects are taken, and no value is shown."""

from __future__ import annotations

import collections
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, Final
from uuid import UUID

import attrs
from attrs import define, evolve

from ergaster.messages import Json
from ergaster.schema import Adapter
from ergaster.schema.compiler import Compiler
from ergaster.schema.misfits import hides_values, misfit
from ergaster.schema.nodes import SHORT, Load, Node, Render, Schema, render
from ergaster.schema.scalars import ANY, SCALARS, load_text
from ergaster.secrets import Secret

__all__ = ["options_adapter"]


@lru_cache(maxsize=512)
def options_adapter(cls: type, word: str = "key") -> Adapter:
    """Return the adapter of an attrs class whose fields a person writes.

    It differs from `adapter_for` in this: an object of a field's type is taken as it is; a secret stands for text, and
    text for a secret; a number stands for a decimal; a class without fields takes its own objects only; the metadata `REST`
    and `SHORT` count; no error shows a value.

    Args:
        cls: The class.
        word: What errors call a field.

    Raises:
        SchemaError: If the hint of a field cannot be read.
    """
    compiler = _Compiler(word=word)
    node, definition = compiler.root(cls)

    def load(value: Json) -> object:
        token = hides_values.set(True)
        try:
            return node.load(value)
        finally:
            hides_values.reset(token)

    return Adapter(render(node, definition), load, name=f"the {word}s", is_recursive=compiler.is_recursive)


def _taking(kind: type, load: Load) -> Load:
    """Return a loader that takes objects of exactly that type, a date but no date with a time."""
    return lambda value: value if type(value) is kind else load(value)


def _int(value: Json) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise misfit(value, "an integer")


def _text(value: Json) -> str:
    """A plugin that wants plain text gets that of a secret: its author chose not to hide it."""
    return load_text(value.reveal() if isinstance(value, Secret) else value)


def _decimal(value: Json) -> object:
    if isinstance(value, Decimal) and value.is_finite():
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return SCALARS[Decimal].load(format(Decimal(str(value)), "f") if is_number else value)


_ANYTHING: Final = evolve(ANY, load=lambda value: value, expected="anything")
_NUMBER: Final[Schema] = {"type": "number"}


@define
class _Compiler(Compiler):
    scalars: ClassVar[Mapping[object, Node]] = {
        **SCALARS,
        **{
            kind: evolve(SCALARS[kind], load=_taking(kind, SCALARS[kind].load))
            for kind in (datetime, date, time, timedelta, UUID, bytes)
        },
        int: evolve(SCALARS[int], load=_int),
        str: evolve(SCALARS[str], load=_text),
        Secret: evolve(SCALARS[str], load=lambda value: Secret(_text(value)), rank=1),
        Decimal: evolve(
            SCALARS[Decimal],
            load=_decimal,
            schema=lambda render: {"anyOf": [_NUMBER, SCALARS[Decimal].schema(render)]},
            kinds=frozenset({"integer", "number", "string"}),
        ),
        Any: _ANYTHING,
        object: _ANYTHING,
    }
    arrays: ClassVar[Mapping[object, Callable[[list[Any]], object] | None]] = {
        **dict.fromkeys((Sequence, Collection, Iterable), tuple),
        **dict.fromkeys((frozenset, AbstractSet), frozenset),
        list: None,
        set: set,
        collections.deque: collections.deque,
    }
    sets: ClassVar[frozenset[object]] = frozenset()

    def finished(self, kind: type, node: Node) -> Node:
        """Take the objects of a class as well, and the value of its short field."""
        fields = attrs.fields(kind) if attrs.has(kind) else ()
        short = next((item.name for item in fields if SHORT in item.metadata), None)
        if short is None or node.properties is None:
            expected = node.expected if node.properties is None else "an object"
            return evolve(node, load=lambda value: value if isinstance(value, kind) else node.load(value), expected=expected)
        alone = node.properties[short]
        expected = f"{alone.expected} or an object with {short!r}"

        def load(value: Json) -> object:
            if isinstance(value, kind):
                return value
            if isinstance(value, str):
                return kind(**{short: alone.load(value)})
            if isinstance(value, Mapping):
                return node.load(value)
            raise misfit(value, expected)

        def schema(render: Render) -> Schema:
            return {"anyOf": [alone.schema(render), node.schema(render)]}

        return evolve(node, load=load, schema=schema, expected=expected, kinds=node.kinds | alone.kinds)

    def other(self, hint: Any, kind: object, where: str) -> Node:
        """Take the objects of any other class; a protocol that cannot be tested takes anything, its plugin has to look."""
        if not isinstance(kind, type):
            return super().other(hint, kind, where)
        try:
            isinstance(None, kind)
        except TypeError:
            return _ANYTHING
        expected = "a callable" if kind.__name__ == "Callable" else f"a Python {kind.__name__}"

        def load(value: Json) -> object:
            if isinstance(value, kind):
                return value
            raise misfit(value, expected)

        return Node(load=load, schema=lambda _: {}, expected=expected, kinds=frozenset())
