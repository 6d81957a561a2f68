"""Events and messages as JSON, one way: for journals, streams, exports and wires.

The form is `{"kind": …}` for events and `{"type": …}` for parts; fields at their defaults are left out. User data
(arguments, state, metadata) stands only in fields that are JSON by type and is copied untouched, so that nothing a
user writes is ever taken for structure, and no class is ever looked up by a name from the data.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from ergaster.errors import InvalidInput, StorageCorrupt
from ergaster.events import EVENT_TYPES, Event
from ergaster.messages import (
    Audio,
    Citation,
    File,
    Image,
    Json,
    JsonObject,
    MediaPart,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Video,
)

__all__ = ["decode", "dump_json", "encode", "load_json", "read_event", "write_event"]

T = TypeVar("T")

_PART_TYPES: dict[str, type] = {
    "text": Text,
    "image": Image,
    "audio": Audio,
    "video": Video,
    "file": File,
    "reasoning": Reasoning,
    "tool_call": ToolCall,
    "tool_result": ToolResult,
    "citation": Citation,
}
_PART_NAMES = {part: name for name, part in _PART_TYPES.items()}
_EVENT_KINDS = {event.kind: event for event in EVENT_TYPES}

_encode_json = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")).encode


def dump_json(value: Json) -> str:
    """Return *value* as compact ASCII JSON, which every storage can hold (NUL and lone surrogates are escaped).

    Raises:
        InvalidInput: If *value* is not JSON: another type, a key that is no text, NaN, an infinity, too deep, or circular.
    """
    try:
        return _encode_json(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"this value cannot be stored as JSON: {error}") from error
    except RecursionError:
        raise InvalidInput("this value cannot be stored as JSON: it is nested too deeply or contains itself") from None


def load_json(text: str | bytes) -> Json:
    """Return the value of a JSON text.

    Raises:
        InvalidInput: If *text* is no JSON, holds NaN or an infinity, or is nested too deeply.
    """
    try:
        return _decode_json(text) if isinstance(text, str) else json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InvalidInput(f"this is not JSON: {error}") from error
    except RecursionError:
        raise InvalidInput("this JSON is nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


_decode_json = json.JSONDecoder(parse_constant=_refuse_constant).decode  # `json.loads` would make one for each text


def encode(value: object) -> Json:
    """Return an event, a message, or any value of `ergaster`'s data as JSON."""
    return _converter().unstructure(value)


def decode(value: Json, as_type: type[T]) -> T:
    """Return the value that `encode` made.

    Raises:
        StorageCorrupt: If *value* does not have the form of *as_type*.
    """
    try:
        result: T = _converter().structure(value, as_type)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageCorrupt(
            f"stored data is no {as_type.__name__} that this version can read ({type(error).__name__}: {error}); "
            "it may come from a newer version of ergaster"
        ) from error
    return result


def write_event(event: Event) -> str:
    """Return the event as one line of JSON."""
    return dump_json(_converter().unstructure(event))


def read_event(text: str) -> Event:
    """Return the event of one line of JSON.

    Raises:
        StorageCorrupt: If the line is no event that this version can read.
    """
    try:
        value = load_json(text)
    except InvalidInput as error:
        raise StorageCorrupt(f"a stored event cannot be read: {error}") from error
    return decode(value, Event)


@cache
def _converter() -> Any:
    from cattrs import Converter
    from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

    converter = Converter(detailed_validation=False, omit_if_default=True)
    # `Any` is the alias of every JSON field: such values pass untouched.
    converter.register_structure_hook_func(_is_json, lambda value, _: value)
    converter.register_unstructure_hook_func(_is_json, _same)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    converter.register_unstructure_hook(bytes, lambda value: b64encode(value).decode("ascii"))
    converter.register_structure_hook(bytes, lambda value, _: b64decode(value, validate=True))

    def tagged(cls: type, tag: str, name: str) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
        hidden: Any = {
            field.name: override(omit=True)
            for field in getattr(cls, "__attrs_attrs__", ())
            if field.metadata.get("wire") is False
        }
        write: Callable[[Any], Any] = make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **hidden)
        read: Callable[[Any, Any], Any] = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=False, **hidden)
        return (lambda value: {tag: name, **write(value)}), read

    parts: dict[str, Callable[[Any, Any], Any]] = {}
    events: dict[str, Callable[[Any, Any], Any]] = {}
    _read_by_tag(converter, parts, events)
    for name, cls in _PART_TYPES.items():
        write, parts[name] = tagged(cls, "type", name)
        converter.register_unstructure_hook(cls, write)
    for kind, event in _EVENT_KINDS.items():
        write, events[kind] = tagged(event, "kind", kind)
        converter.register_unstructure_hook(event, write)

    def write_by_class(value: object) -> Json:
        return converter.unstructure(value, type(value))

    converter.register_unstructure_hook_func(_is_part_union, write_by_class)
    converter.register_unstructure_hook_func(_is_event, write_by_class)
    return converter


def _read_by_tag(
    converter: Any, parts: dict[str, Callable[[Any, Any], Any]], events: dict[str, Callable[[Any, Any], Any]]
) -> None:
    """Let parts and events be read by their tags, with readers that are filled in later."""

    def read_part(value: JsonObject, _: object) -> object:
        return parts[value["type"]](value, _PART_TYPES[value["type"]])

    def read_any_event(value: JsonObject, _: object) -> object:
        return events[value["kind"]](value, _EVENT_KINDS[value["kind"]])

    def read_parts(value: list[JsonObject], _: object) -> tuple[object, ...]:
        return tuple([read_part(each, Part) for each in value])

    def read_messages(value: list[JsonObject], _: object) -> tuple[object, ...]:
        read = converter.get_structure_hook(Message)
        return tuple([read(each, Message) for each in value])

    converter.register_structure_hook_func(_is_part_union, read_part)
    converter.register_structure_hook_func(_is_event, read_any_event)
    # A history reads both for each of its turns; the hook of cattrs for any tuple takes twice as long.
    converter.register_structure_hook_func(lambda wanted: wanted == tuple[Part, ...], read_parts)
    converter.register_structure_hook_func(lambda wanted: wanted == tuple[Message, ...], read_messages)


def _same(value: Json) -> Json:
    return value


def _is_json(wanted: object) -> bool:
    return wanted in (Any, JsonObject)


def _is_part_union(wanted: object) -> bool:
    return wanted in (Part, MediaPart)


def _is_event(wanted: object) -> bool:
    return wanted is Event
