"""From bytes to what a model can read, and back."""

from __future__ import annotations

import codecs
import unicodedata

from attrs import frozen

from ergaster.errors import ToolError

__all__ = ["Decoded", "count_invisible", "cut", "decode", "find_picture_type"]

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_USUAL = frozenset("\ufeff\u00ad\u200c\u200d")
_BINARY_SAMPLE = 8_192


@frozen
class Decoded:
    """Text, and the encoding that gives back the same bytes.

    Attributes:
        text: The text, with its byte order mark if there is one.
        encoding: A codec's name.
        is_certain: False if the bytes are no Unicode and were read as Windows-1252.
    """

    text: str
    encoding: str = "utf-8"
    is_certain: bool = True


def find_picture_type(content: bytes) -> str | None:
    """Return the media type of a PNG, JPEG, GIF or WebP picture, judged by its first bytes; None for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for start, media_type in _PICTURES if content.startswith(start)), None)


def decode(content: bytes, path: str) -> Decoded:
    """Return the text of a file.

    Raises:
        ToolError: If it holds no text; the message says what it is and what to use instead.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            try:
                return Decoded(content.decode(encoding), encoding)
            except UnicodeDecodeError:
                break
    if find_picture_type(content):
        raise ToolError(f"{path!r} is a picture; use view_image to look at it")
    if b"\0" in content[:_BINARY_SAMPLE]:
        raise ToolError(f"{path!r} is a binary file of {len(content):,} bytes; only text and pictures can be read")
    try:
        return Decoded(content.decode())
    except UnicodeDecodeError:
        return Decoded(content.decode("cp1252", "replace"), "cp1252", False)


def cut(text: str, limit: int) -> str:
    """Return *text*, or its first *limit* characters with a mark that says how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]}[… {len(text) - limit:,} characters cut]"


def count_invisible(text: str) -> int:
    """Return how many characters no reader can see: directions, tags, zero widths; joiners of words are not counted."""
    if text.isascii():
        return 0
    return sum(unicodedata.category(character) == "Cf" and character not in _USUAL for character in text)
