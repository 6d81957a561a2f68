"""Whether a model can take over a request."""

from __future__ import annotations

from collections.abc import Iterator

from ergaster.contracts.model import Model, ModelRequest
from ergaster.messages import Audio, File, Image, Media, Message, ToolResult, Video

__all__ = ["has_larger_window", "missing_ability", "missing_medium"]

_MEDIA: tuple[tuple[type[Media], str], ...] = ((Image, "images"), (Audio, "audio"), (Video, "video"), (File, "files"))


def missing_ability(model: Model, request: ModelRequest) -> str:
    """Return the capability that every request of this agent needs and *model* lacks, or nothing."""
    if request.tools and not model.capabilities.tools:
        return "tools"
    if request.output_schema is not None and not model.capabilities.schema_output:
        return "schema_output"
    return ""


def missing_medium(model: Model, request: ModelRequest) -> str:
    """Return the capability that the media of this one conversation need and *model* lacks, or nothing."""
    for media in _media(request.messages):
        for kind, capability in _MEDIA:
            if isinstance(media, kind) and not getattr(model.capabilities, capability):
                return capability
    return ""


def has_larger_window(model: Model, than: Model) -> bool:
    """Say whether *model* may hold what was too long for the other; a window that nobody knows may."""
    own, other = model.capabilities.context_window, than.capabilities.context_window
    return own is None or other is None or own > other


def _media(messages: tuple[Message, ...]) -> Iterator[Media]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, Media):
                yield part
            elif isinstance(part, ToolResult):
                yield from part.media
