"""Refuse, before anything is sent, what no provider should be asked for."""

from __future__ import annotations

from attrs import frozen

from ergaster.contracts.model import Capabilities, ModelRequest, ModelSettings
from ergaster.errors import BadRequest, Unsupported
from ergaster.messages import Audio, File, Image, Media, Video

__all__ = ["DEFAULT_LIMITS", "Limits", "check_media", "check_request", "check_settings"]

_ABILITY: dict[type[Media], tuple[str, str]] = {
    Image: ("images", "pictures"),
    Audio: ("audio", "sound"),
    Video: ("video", "films"),
    File: ("files", "documents"),
    Media: ("files", "documents"),
}


@frozen(kw_only=True)
class Limits:
    """The largest request that is sent at all; a guard against accidents and attacks, far above honest use.

    Attributes:
        body_bytes: Bytes of the request, media included.
        media: Pictures, sounds, films and documents in one request.
        tools: Tools in one request.
    """

    body_bytes: int = 64 * 1024 * 1024
    media: int = 500
    tools: int = 1000


DEFAULT_LIMITS = Limits()


def check_media(media: Media, capabilities: Capabilities, limits: Limits, origin: str) -> None:
    """Refuse a part that the model cannot read, that has not been fetched, or that is too large.

    Raises:
        Unsupported: If the model does not read such parts, or *media* is a reference into the storage.
        BadRequest: If it is too large.
    """
    ability, noun = _ABILITY[type(media)]
    if not getattr(capabilities, ability):
        raise Unsupported(f"{origin} reads no {noun}; choose a model that does, or say so with the option {ability}=True")
    if media.ref is not None:
        raise Unsupported(f"{media.ref} is a reference into the storage; give its bytes or a URL to {origin}")
    if media.data is not None and len(media.data) * 4 // 3 > limits.body_bytes:
        raise BadRequest(f"a part of {len(media.data)} bytes exceeds the limit of {limits.body_bytes} bytes for one request")


def check_request(request: ModelRequest, capabilities: Capabilities, limits: Limits, origin: str) -> None:
    """Refuse tools and schemas that the model cannot take.

    Raises:
        Unsupported: If the model has no tools or no schema output.
        BadRequest: If there are no messages, too many tools, or a choice of a tool that is not there.
    """
    if not request.messages:
        raise BadRequest(f"a request to {origin} needs at least one message")
    if request.output_schema is not None and not capabilities.schema_output:
        raise Unsupported(f"{origin} cannot be held to a JSON Schema; ask for text, or set the option schema_output=True")
    if not request.tools:
        return
    if not capabilities.tools:
        raise Unsupported(f"{origin} calls no tools; choose a model that does, or set the option tools=True")
    if len(request.tools) > limits.tools:
        raise BadRequest(f"{len(request.tools)} tools exceed the limit of {limits.tools} for one request")
    choice = request.tool_choice
    if choice not in {"auto", "none", "required"} and all(tool.name != choice for tool in request.tools):
        raise BadRequest(f"tool_choice names {choice!r}, which is not among the tools of the request")


def check_settings(settings: ModelSettings) -> None:
    """Refuse numbers that are none, or absurd.

    Raises:
        BadRequest: If a setting is out of its bounds.
    """
    _check_range("temperature", settings.temperature, 0.0, 100.0)
    _check_range("top_p", settings.top_p, 0.0, 1.0)
    _check_range("max_tokens", settings.max_tokens, 1, 100_000_000)
    _check_range("seed", settings.seed, -(2**63), 2**63 - 1)
    _check_range("timeout", settings.timeout, 0.0, 7 * 86_400)
    if len(settings.stop) > 64 or not all(settings.stop):
        raise BadRequest("stop takes at most 64 texts, none of them empty")
    replies = settings.extra_body.get("n", 1)
    if replies != 1:
        raise BadRequest(f"n={replies!r} in extra_body: one call gives one reply; make several calls instead")
    for name, value in settings.extra_headers.items():
        if any(sign in f"{name}{value}" for sign in "\r\n\0"):
            raise BadRequest(f"the header {name!r} holds a line break")


def _check_range(name: str, value: object, low: float, high: float) -> None:
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]  # NaN is below nothing and above nothing
        raise BadRequest(f"{name}={value!r} is out of bounds; it is a number from {low:g} to {high:g}")
