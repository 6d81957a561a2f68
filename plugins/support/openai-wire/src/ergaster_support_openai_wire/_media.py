"""Media as the protocols carry them."""

from __future__ import annotations

import base64

from ergaster.errors import Unsupported
from ergaster.messages import Audio, Image, Json, Media, Video
from ergaster_support_openai_wire._json import quote

__all__ = ["audio_format", "base64_text", "chat_part", "data_url", "image_from_url", "media_from_base64"]

_AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav"}
_AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "opus": "audio/ogg", "pcm16": "audio/L16"}


def base64_text(media: Media) -> str:
    """Return the bytes of *media* in base64."""
    return base64.b64encode(media.data or b"").decode("ascii")


def data_url(media: Media) -> str:
    """Return the address of *media*: its own, or its bytes as a `data:` URL."""
    return media.url if media.url is not None else f"data:{media.media_type};base64,{base64_text(media)}"


def audio_format(media: Media) -> str:
    """Return the protocol's word for the format of a sound."""
    return _AUDIO_FORMATS.get(media.media_type, media.media_type.partition("/")[2])


def chat_part(media: Media, origin: str) -> str:
    """Return *media* as a content part of Chat Completions, as JSON text.

    Raises:
        Unsupported: If the protocol has no place for it.
    """
    if isinstance(media, Image):
        return f'{{"type":"image_url","image_url":{{"url":{quote(data_url(media))}}}}}'
    if isinstance(media, Video):
        return f'{{"type":"video_url","video_url":{{"url":{quote(data_url(media))}}}}}'
    if media.data is None:
        raise Unsupported(f"{origin} takes bytes of a {type(media).__name__}, no URL; fetch it first")
    if isinstance(media, Audio):
        inner = f'"data":"{base64_text(media)}","format":{quote(audio_format(media))}'
        return f'{{"type":"input_audio","input_audio":{{{inner}}}}}'
    inner = f'"filename":{quote(media.name or "document")},"file_data":{quote(data_url(media))}'
    return f'{{"type":"file","file":{{{inner}}}}}'


def image_from_url(url: Json) -> Image | None:
    """Return the picture behind an address of a reply, decoding `data:` URLs."""
    if not isinstance(url, str) or not url:
        return None
    if not url.startswith("data:"):
        return Image(url=url, media_type="image/*")
    head, _, data = url[5:].partition(",")
    return Image(_decoded(data), media_type=head.partition(";")[0] or "image/png")


def media_from_base64(data: Json, kind: str, *, name: str | None = None) -> Audio | Image | None:
    """Return a sound or picture of a reply; *kind* is the protocol's word for its format."""
    if not isinstance(data, str) or not data:
        return None
    if kind in _AUDIO_TYPES:
        return Audio(_decoded(data), media_type=_AUDIO_TYPES[kind], name=name)
    return Image(_decoded(data), media_type=f"image/{kind}", name=name)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=False)
    except ValueError:
        return b""
