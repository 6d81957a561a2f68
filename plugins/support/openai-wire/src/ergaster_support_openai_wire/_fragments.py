"""Encoded messages, kept for as long as the message lives.

A run sends its whole conversation at every step. Encoding each message once keeps a long run linear.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable

from attrs import frozen

from ergaster.contracts.model import ToolSpec
from ergaster.errors import BadRequest
from ergaster.messages import Message
from ergaster_support_openai_wire._checks import Limits

__all__ = ["Fragment", "FragmentCache", "ToolsCache", "measure"]


@frozen
class Fragment:
    """A message on the wire.

    Attributes:
        items: The message's JSON, one or more items with commas between; empty when it has none.
        trailing: Content parts as JSON for a user message behind it, where a protocol has no other place for them.
        media: How many pictures, sounds, films and documents it holds.
    """

    items: str
    trailing: tuple[str, ...] = ()
    media: int = 0


class FragmentCache:
    """Fragments by the identity of the message that they encode."""

    def __init__(self, make: Callable[[Message], Fragment]) -> None:
        self._make = make
        self._entries: dict[int, tuple[weakref.ref[Message], Fragment]] = {}

    def get(self, value: Message) -> Fragment:
        """Return the fragment of *value*, encoding it the first time."""
        key = id(value)
        entry = self._entries.get(key)
        if entry is not None and entry[0]() is value:
            return entry[1]
        fragment = self._make(value)
        entries = self._entries
        entries[key] = (weakref.ref(value, lambda _: entries.pop(key, None)), fragment)
        return fragment

    def __len__(self) -> int:
        return len(self._entries)


class ToolsCache:
    """The tools of the latest request, encoded; a run sends the same ones at every step."""

    def __init__(self, make: Callable[[ToolSpec], str]) -> None:
        self._make = make
        self._latest: tuple[tuple[ToolSpec, ...], str] = ((), "[]")

    def get(self, tools: tuple[ToolSpec, ...]) -> str:
        """Return *tools* as a JSON array."""
        latest, text = self._latest
        if latest is tools or latest == tools:
            return text
        text = f"[{','.join([self._make(tool) for tool in tools])}]"
        self._latest = (tools, text)
        return text


def measure(fragments: Iterable[Fragment], limits: Limits) -> None:
    """Refuse a conversation above the limits.

    Raises:
        BadRequest: If it is too long or holds too many media.
    """
    size = media = 0
    for fragment in fragments:
        size += len(fragment.items)
        media += fragment.media
        for part in fragment.trailing:
            size += len(part)
    if media > limits.media:
        raise BadRequest(f"{media} pictures, sounds, films and documents exceed the limit of {limits.media} for one request")
    if size > limits.body_bytes:
        raise BadRequest(f"a conversation of {size} characters exceeds the limit of {limits.body_bytes} bytes for one request")
