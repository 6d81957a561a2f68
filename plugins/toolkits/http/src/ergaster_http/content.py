"""What kind of thing an answer holds, and its text."""

from __future__ import annotations

import codecs
import json
import re

__all__ = ["decode", "find_picture_type", "is_binary", "pretty_json"]

_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_CODECS = re.compile(
    r"(utf-?(8|16|32)([_-]?[lb]e)?|iso-?8859-?\d+|cp\d+|windows-?\d+|latin-?1|ascii|koi8-[ru]|mac-?roman|shift_jis"
    r"|euc[_-](jp|kr)|iso-?2022-?jp|gb(2312|k|18030)|big5(hkscs)?|johab|hz)\Z",
    re.IGNORECASE,
)
_SAMPLE = 8_192
_BINARY = ("audio/", "video/", "font/", "application/zip", "application/gzip", "application/pdf", "application/octet-stream")


def find_picture_type(body: bytes) -> str | None:
    """Return the media type of a PNG, JPEG, GIF or WebP picture, judged by its first bytes; None for anything else."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for start, media_type in _PICTURES if body.startswith(start)), None)


def is_binary(body: bytes, media_type: str) -> bool:
    """Say whether an answer holds no text."""
    if body.startswith(tuple(mark for mark, _ in _MARKS)):
        return False
    return b"\0" in body[:_SAMPLE] or (media_type.startswith(_BINARY) and not _is_utf8(body))


def decode(body: bytes, content_type: str) -> str:
    """Return the text of a body: by its byte order mark, the header, the page's own word, as UTF-8, as Windows-1252."""
    marked = next((encoding for mark, encoding in _MARKS if body.startswith(mark)), None)
    said = [_CHARSET.search(content_type), _CHARSET.search(body[:1024].decode("latin-1"))]
    named = [found[1] for found in said if found and _CODECS.match(found[1])]
    for encoding in (*([marked] if marked else []), *named[:1], "utf-8"):
        try:
            return body.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return body.decode("cp1252", "replace")


def pretty_json(text: str) -> str | None:
    """Return JSON with line breaks; None if it is none."""
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
