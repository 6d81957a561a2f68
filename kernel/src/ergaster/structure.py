"""Plain data becomes typed values, strictly: nothing is coerced, and every problem is told with its path.

This serves what people write by hand, options and `ergaster.toml`; what models and databases write has its own modules.
"""

from __future__ import annotations

import enum
import math
import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from ergaster.secrets import Secret
from ergaster.suggestions import did_you_mean, shorten

__all__ = ["REST", "Problem", "at", "describe_type", "describe_value", "field_types", "init_fields", "load", "load_fields"]

REST: Final = "ergaster.rest"
"""Metadata key of the one mapping field of a class that takes every key which is no other field's."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}\Z")
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?\Z")
_SEQUENCES = (list, tuple, set, frozenset)


@attrs.frozen
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Where, as `agents.writer.tools[1]`; empty for the whole.
        text: What; it never repeats the value, which may be a secret.
    """

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


def at(path: str, key: object) -> str:
    """Return the path of *key* below *path*."""
    if isinstance(key, int) and not isinstance(key, bool):
        return f"{path}[{key}]"
    name = str(key)
    shown = name if _BARE_KEY.match(name) else repr(shorten(name))
    return f"{path}.{shown}" if path else shown


def load(hint: object, value: object, path: str, problems: list[Problem]) -> Any:
    """Return *value* as the type *hint*; on a mismatch append to *problems* and return nothing of use.

    A whole number stands for a float, a string for a `Secret` or a `Path` (and a `Secret` for a string), a list for any
    sequence, a table for an attrs class; everything else has to be of its type. An object of the type itself is always taken.
    """
    hint = _bare(hint)
    loader = _SCALARS.get(hint) if isinstance(hint, type) else None
    if loader is not None:
        return loader(value, path, problems)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _load_union(hint, value, path, problems)
    if origin is Literal:
        return _load_literal(hint, value, path, problems)
    target = origin or hint
    if not isinstance(target, type):
        return value
    return _load_class(hint, target, value, path, problems)


def _load_class(hint: object, target: type, value: object, path: str, problems: list[Problem]) -> object:
    if issubclass(target, enum.Enum):
        return _load_enum(target, value, path, problems)
    if target in _SEQUENCES or target in (Sequence, Collection, AbstractSet):
        return _load_sequence(hint, target, value, path, problems)
    if target in (dict, Mapping) or target.__name__ == "MutableMapping":
        return _load_mapping(hint, value, path, problems)
    if hasattr(target, "load_data"):
        return target.load_data(value, path, problems)
    if attrs.has(target) and isinstance(value, Mapping):
        return load_fields(target, value, path, problems)
    if _is_instance(value, target):
        return value
    return _mismatch(hint, value, path, problems)


def _is_instance(value: object, target: type) -> bool:
    """A protocol that cannot be tested at run time takes anything: its plugin has to look."""
    try:
        return isinstance(value, target)
    except TypeError:
        return True


def load_fields(
    cls: type, value: Mapping[Any, object], path: str, problems: list[Problem], *, noun: str = "key", tell_known: bool = False
) -> Any:
    """Make an attrs class from a table whose keys are its fields; unknown and missing ones are problems.

    Args:
        cls: The attrs class.
        value: The table.
        path: Where the table is.
        problems: Grows by what is wrong.
        noun: What a key is called in a problem.
        tell_known: Whether a problem lists every known key, not only the nearest.
    """
    before = len(problems)
    hints, fields = field_types(cls), init_fields(cls)
    collecting = next((attribute for attribute in fields.values() if REST in attribute.metadata), None)
    if collecting is not None:
        fields.pop(collecting.alias or collecting.name)
    others = {key: item for key, item in value.items() if key not in fields}
    arguments = _load_known(hints, fields, value, path, problems)
    if collecting is not None:
        arguments[collecting.alias or collecting.name] = load(hints[collecting.name], others, path, problems)
    else:
        problems.extend(_unknown(key, fields, path, noun, tell_known) for key in others)
    return _make(cls, arguments, path, problems, before)


def _unknown(key: object, fields: Collection[str], path: str, noun: str, tell_known: bool) -> Problem:
    guess = did_you_mean(str(key), fields)
    known = f"{' Known' if guess else '; known'}: {', '.join(sorted(fields)) or 'none'}" if tell_known or not guess else ""
    return Problem(at(path, key), f"unknown {noun}{guess}{known}")


def _load_known(
    hints: Mapping[str, object],
    fields: Mapping[str, attrs.Attribute[Any]],
    value: Mapping[Any, object],
    path: str,
    problems: list[Problem],
) -> dict[str, object]:
    arguments = {}
    for name, attribute in fields.items():
        if name in value:
            arguments[name] = load(hints[attribute.name], value[name], at(path, name), problems)
        elif attribute.default is attrs.NOTHING:
            problems.append(Problem(at(path, name), "is missing"))
    return arguments


def _make(cls: type, arguments: Mapping[str, object], path: str, problems: list[Problem], before: int) -> Any:
    if len(problems) > before:
        return None
    try:
        return cls(**arguments)
    except (ValueError, TypeError) as error:
        where = next((item.alias for item in error.args[1:] if isinstance(item, attrs.Attribute)), None)
        problems.append(Problem(at(path, where) if where else path, str(error.args[0]) if error.args else type(error).__name__))
        return None


def init_fields(cls: type) -> dict[str, attrs.Attribute[Any]]:
    """Return the fields of an attrs class that its constructor takes, by the name it takes them under."""
    return {attribute.alias or attribute.name: attribute for attribute in attrs.fields(cls) if attribute.init}


@lru_cache(maxsize=1024)
def field_types(cls: type) -> Mapping[str, object]:
    """Return the resolved type of each field of an attrs class.

    Raises:
        NameError: If an annotation names what is imported for the type checker only.
    """
    hints = get_type_hints(cls, include_extras=True)
    return {attribute.name: hints.get(attribute.name, attribute.type or Any) for attribute in attrs.fields(cls)}


def _bare(hint: object) -> object:
    """Return *hint* without what does not matter here: `Annotated`, `NewType`, type aliases, type variables."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif hasattr(hint, "__value__"):  # `type X = …`, Python 3.12
            hint = hint.__value__
        elif isinstance(hint, TypeVar):
            hint = hint.__bound__ or Any
        else:
            return type(None) if hint is None else hint


# --- the parts -------------------------------------------------------------------------------------------------------


def _mismatch(hint: object, value: object, path: str, problems: list[Problem]) -> object:
    problems.append(Problem(path, f"expected {describe_type(hint)}, got {describe_value(value)}"))
    return None


def _load_union(hint: object, value: object, path: str, problems: list[Problem]) -> object:
    members = [_bare(member) for member in get_args(hint)]
    if type(value) in members and not isinstance(value, float):
        return value
    attempts: list[list[Problem]] = []
    for member in members:
        attempt: list[Problem] = []
        loaded = load(member, value, path, attempt)
        if not attempt:
            return loaded
        if _has_shape(member, value):
            attempts.append(attempt)
    if len(attempts) == 1:
        problems.extend(attempts[0])
        return None
    return _mismatch(hint, value, path, problems)


def _has_shape(member: object, value: object) -> bool:
    """Whether *value* was probably meant to be a *member*, so that its problems are the ones to tell."""
    target = get_origin(member) or member
    if isinstance(value, Mapping):
        return isinstance(target, type) and (attrs.has(target) or issubclass(target, Mapping))
    if isinstance(value, (list, tuple)):
        return target in _SEQUENCES or target in (Sequence, Collection)
    if isinstance(value, str):
        return target is Literal or (isinstance(target, type) and issubclass(target, enum.Enum))
    return target is float and isinstance(value, float)


def _load_literal(hint: object, value: object, path: str, problems: list[Problem]) -> object:
    for allowed in get_args(hint):
        if type(allowed) is type(value) and allowed == value:
            return value
        if isinstance(allowed, enum.Enum) and type(allowed.value) is type(value) and allowed.value == value:
            return allowed
    return _no_choice([getattr(item, "value", item) for item in get_args(hint)], value, path, problems)


def _load_enum(target: type[enum.Enum], value: object, path: str, problems: list[Problem]) -> object:
    for member in target:
        if value is member or (type(member.value) is type(value) and member.value == value):
            return member
    return _no_choice([member.value for member in target], value, path, problems)


def _no_choice(allowed: Sequence[object], value: object, path: str, problems: list[Problem]) -> object:
    guess = did_you_mean(value, [item for item in allowed if isinstance(item, str)]) if isinstance(value, str) else ""
    got = "" if isinstance(value, str) else f", got {describe_value(value)}"
    problems.append(Problem(path, f"expected {_choices(allowed)}{got}{guess}"))
    return None


def _load_sequence(hint: object, target: type, value: object, path: str, problems: list[Problem]) -> object:
    if not isinstance(value, _SEQUENCES):
        return _mismatch(hint, value, path, problems)
    arguments = get_args(hint)
    items = list(value)
    if target is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(items) != len(arguments):
            problems.append(Problem(path, f"expected {len(arguments)} items, got {len(items)}"))
            return None
        pairs = enumerate(zip(arguments, items, strict=True))
        return tuple(load(item, entry, at(path, index), problems) for index, (item, entry) in pairs)
    item = arguments[0] if arguments else Any
    loaded = [load(item, entry, at(path, index), problems) for index, entry in enumerate(items)]
    if target in (set, frozenset, AbstractSet):
        try:
            return frozenset(loaded) if target is not set else set(loaded)
        except TypeError:
            problems.append(Problem(path, "has an item that cannot be in a set"))
            return None
    return loaded if target is list else tuple(loaded)


def _load_mapping(hint: object, value: object, path: str, problems: list[Problem]) -> object:
    if not isinstance(value, Mapping):
        return _mismatch(hint, value, path, problems)
    key_hint, item_hint = get_args(hint) or (Any, Any)
    loaded = {}
    for key, item in value.items():
        where = at(path, key)
        loaded[load(key_hint, key, where, problems)] = load(item_hint, item, where, problems)
    return loaded


def _scalar(expected: type, accepts: Callable[[object], bool], make: Callable[[Any], object]) -> Callable[..., object]:
    def load_scalar(value: object, path: str, problems: list[Problem]) -> object:
        if not accepts(value):
            return _mismatch(expected, value, path, problems)
        try:
            return make(value)
        except (ValueError, OverflowError, InvalidOperation):
            return _mismatch(expected, value, path, problems)

    return load_scalar


def _same(value: object) -> object:
    return value


def _text(value: str | Secret) -> str:
    """A plugin that wants a plain string gets the text of a secret: its author chose not to hide it."""
    return value.reveal() if isinstance(value, Secret) else value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_decimal(value: object) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else isinstance(value, str) and bool(_DECIMAL.match(value))


_SCALARS: Final[dict[type, Callable[..., object]]] = {
    object: lambda value, _path, _problems: value,
    type(None): _scalar(type(None), lambda value: value is None, _same),
    bool: _scalar(bool, lambda value: isinstance(value, bool), _same),
    int: _scalar(int, _is_whole, _same),
    float: _scalar(float, _is_finite, float),
    str: _scalar(str, lambda value: isinstance(value, (str, Secret)), _text),
    bytes: _scalar(bytes, lambda value: isinstance(value, bytes), _same),
    Secret: _scalar(Secret, lambda value: isinstance(value, (str, Secret)), Secret),
    Path: _scalar(Path, lambda value: isinstance(value, (str, Path)), Path),
    Decimal: _scalar(Decimal, lambda value: _is_finite(value) or _is_decimal(value), lambda value: Decimal(str(value))),
    datetime: _scalar(datetime, lambda value: isinstance(value, datetime), _same),
    date: _scalar(date, lambda value: isinstance(value, date) and not isinstance(value, datetime), _same),
    time: _scalar(time, lambda value: isinstance(value, time), _same),
}

# --- words -----------------------------------------------------------------------------------------------------------

_WORDS: Final[dict[object, str]] = {
    type(None): "nothing",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    bytes: "bytes",
    Secret: "a string",
    Path: "a path",
    Decimal: "a decimal number",
    datetime: "a date with a time",
    date: "a date",
    time: "a time of day",
    Any: "anything",
    object: "anything",
    Callable: "a callable",
}


def _choices(allowed: Sequence[object]) -> str:
    return ("one of " if len(allowed) > 1 else "") + ", ".join(repr(item) for item in allowed)


def describe_type(hint: object) -> str:
    """Return what to write for a type, in words: `a whole number or a list of strings`."""
    hint = _bare(hint)
    if isinstance(hint, type) and hint in _WORDS:
        return _WORDS[hint]
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        words = [describe_type(item) for item in get_args(hint) if item is not type(None)]
        return " or ".join(dict.fromkeys(words))
    if origin is Literal:
        return _choices([getattr(item, "value", item) for item in get_args(hint)])
    target = origin or hint
    if not isinstance(target, type):
        return "anything"
    if issubclass(target, enum.Enum):
        return _choices([member.value for member in target])
    if target in _SEQUENCES or target in (Sequence, Collection, AbstractSet):
        return "a list"
    if attrs.has(target) or target is dict or target.__name__ in ("Mapping", "MutableMapping"):
        return "a table"
    return "a callable" if target.__name__ == "Callable" else f"an object of type {target.__name__}"


def describe_value(value: object) -> str:
    """Return what sort of thing a value is, and nothing of the value itself."""
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    if isinstance(value, Secret):
        return "a secret"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "a list"
    if isinstance(value, Mapping):
        return "a table"
    return _WORDS.get(type(value), f"an object of type {type(value).__name__}")
