"""Messages, their parts, and what a model call used."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from attrs import field, frozen

__all__ = [
    "Audio",
    "Citation",
    "File",
    "Image",
    "Json",
    "JsonObject",
    "Media",
    "MediaPart",
    "Message",
    "Part",
    "Reasoning",
    "Role",
    "StopReason",
    "Text",
    "ToolCall",
    "ToolResult",
    "Usage",
    "Video",
]

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, a list of them or a mapping of them by str.

The alias is `Any` because a recursive union makes every reader cast; the codec refuses what is not JSON.
"""
JsonObject: TypeAlias = Mapping[str, Json]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class StopReason(StrEnum):
    """Why a model, or a run, stopped."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    REFUSAL = "refusal"
    PAUSE = "pause"
    LIMIT = "limit"
    CANCELLED = "cancelled"
    ERROR = "error"
    OTHER = "other"


@frozen
class Text:
    """Plain text."""

    text: str


@frozen
class Media:
    """Bytes, or the place where they are; exactly one of `data`, `url` and `ref` is set.

    Attributes:
        data: The bytes themselves; never in a repr.
        url: An address that the provider can fetch.
        ref: The name of an object in the storage, `media:<sha256>`.
        media_type: The IANA media type, such as `image/png`.
        name: A file name to show.
    """

    data: bytes | None = field(default=None, repr=lambda data: "None" if data is None else f"<{len(data)} bytes>")
    url: str | None = field(default=None, kw_only=True)
    ref: str | None = field(default=None, kw_only=True)
    media_type: str = field(default="application/octet-stream", kw_only=True)
    name: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        given = sum(value is not None for value in (self.data, self.url, self.ref))
        if given != 1:
            raise ValueError(f"{type(self).__name__} takes exactly one of data, url and ref; {given} were given")

    @classmethod
    def from_path(cls, path: str | Path) -> Self:
        """Read a file; its media type is guessed from its name."""
        path = Path(path)
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return cls(path.read_bytes(), media_type=media_type, name=path.name)


@frozen
class Image(Media):
    """A picture."""


@frozen
class Audio(Media):
    """A sound."""


@frozen
class Video(Media):
    """A film."""


@frozen
class File(Media):
    """A document."""


MediaPart: TypeAlias = Image | Audio | Video | File


@frozen
class Reasoning:
    """What the model thought, as far as the provider shows it.

    Attributes:
        text: The visible part; may be empty.
        signature: The provider's opaque proof or encrypted content, replayed verbatim.
        id: The provider's name of the item.
        provider: The plugin that may replay it; others leave it out of their requests.
    """

    text: str = ""
    signature: str | None = field(default=None, kw_only=True, repr=False)
    id: str | None = field(default=None, kw_only=True)
    provider: str | None = field(default=None, kw_only=True)


@frozen
class ToolCall:
    """A request of the model to run a tool.

    Attributes:
        id: Unique in the run; minted by the plugin where the provider gives none.
        name: The tool's name.
        arguments: The JSON text exactly as the model wrote it, so that a replay is byte-equal.
        signature: The provider's opaque state of this call, replayed verbatim.
    """

    id: str
    name: str
    arguments: str = "{}"
    signature: str | None = field(default=None, kw_only=True, repr=False)


@frozen
class ToolResult:
    """What a tool call gave.

    Attributes:
        call_id: The call that it answers.
        name: The tool's name.
        content: The text that the model reads.
        media: What else the tool returned.
        is_error: Whether the call failed.
    """

    call_id: str
    name: str
    content: str = field(default="", kw_only=True)
    media: tuple[MediaPart, ...] = field(default=(), kw_only=True)
    is_error: bool = field(default=False, kw_only=True)


@frozen
class Citation:
    """Where a statement comes from.

    Attributes:
        text: The quoted passage.
        source: A URL, a file name or a document id.
        title: The document's title.
        start: First character in the answer's text that it supports, counted from 0; None if unknown.
        end: One past the last such character.
        page: Page of the source, counted from 1.
    """

    text: str = ""
    source: str | None = field(default=None, kw_only=True)
    title: str | None = field(default=None, kw_only=True)
    start: int | None = field(default=None, kw_only=True)
    end: int | None = field(default=None, kw_only=True)
    page: int | None = field(default=None, kw_only=True)


Part: TypeAlias = Text | Image | Audio | Video | File | Reasoning | ToolCall | ToolResult | Citation


def _as_parts(parts: str | Part | tuple[Part, ...] | list[Part]) -> tuple[Part, ...]:
    if isinstance(parts, str):
        return (Text(parts),)
    return tuple(parts) if isinstance(parts, tuple | list) else (parts,)


@frozen
class Message:
    """One message of a conversation.

    Attributes:
        role: Who speaks. Tool results are parts of messages of the role `tool`.
        parts: What is said, in order; a plain string becomes one `Text`.
        provider_data: Opaque state by plugin name, replayed verbatim to that plugin alone.
    """

    role: Role
    parts: tuple[Part, ...] = field(converter=_as_parts)
    provider_data: JsonObject = field(factory=dict, kw_only=True, repr=False)

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def reasoning(self) -> str:
        """The visible reasoning, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Reasoning))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


@frozen
class Usage:
    """What calls used; adding two gives their sum.

    Attributes:
        input_tokens: All tokens read: uncached, read from the cache, and written to it.
        output_tokens: All tokens written, reasoning included.
        cached_tokens: Input tokens that came from the provider's cache.
        cache_write_tokens: Input tokens that were written to it.
        reasoning_tokens: Output tokens spent on reasoning.
        input_audio_tokens: Input tokens that were sound.
        output_audio_tokens: Output tokens that were sound.
        cost: Money in US dollars; None when nobody knows the price.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = field(default=0, kw_only=True)
    cache_write_tokens: int = field(default=0, kw_only=True)
    reasoning_tokens: int = field(default=0, kw_only=True)
    input_audio_tokens: int = field(default=0, kw_only=True)
    output_audio_tokens: int = field(default=0, kw_only=True)
    cost: Decimal | None = field(default=None, kw_only=True)

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        cost = self.cost if other.cost is None else other.cost if self.cost is None else self.cost + other.cost
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            input_audio_tokens=self.input_audio_tokens + other.input_audio_tokens,
            output_audio_tokens=self.output_audio_tokens + other.output_audio_tokens,
            cost=cost,
        )
