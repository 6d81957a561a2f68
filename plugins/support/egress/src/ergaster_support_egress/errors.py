"""What goes wrong on the way to another machine."""

from __future__ import annotations

import re

from ergaster.errors import ErgasterError

__all__ = ["EgressError", "EgressFailed", "EgressTimeout", "ResponseTooLarge", "UrlRefused", "show_url"]

_MAX_SHOWN = 200
_PARTS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:)?(?P<slashes>[/\\]*)(?P<authority>[^/\\?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.S
)
_PLAIN = re.compile(r"([^@:\[\]]*|\[[^@\]]*\])(:\d*)?\Z")
_LONG_WORD = re.compile(r"[A-Za-z0-9_]{16,}")


class EgressError(ErgasterError):
    """Base of what the guard reports.

    Attributes:
        url: The URL as it was given, without what may be a secret in it.
    """

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class UrlRefused(EgressError):
    """The guard does not let this request out; nothing was sent to the refused place."""


class EgressFailed(EgressError):
    """The name cannot be resolved, nobody answers, or the answer breaks the protocol."""


class EgressTimeout(EgressFailed):
    """The answer did not come within the time limits."""


class ResponseTooLarge(EgressError):
    """The answer has more bytes, more headers, or a higher compression than the limits allow."""


def show_url(url: str) -> str:
    """Return *url* quoted for a message: no password, no query values, no long token, no control character."""
    parts = _PARTS.match(url[:2_000])
    if parts is None:  # every text has these parts, if only empty ones
        return "''"
    user, mark, host = parts["authority"].rpartition("@")
    authority = f"{'***' if user else ''}{mark}{host}" if _PLAIN.match(host) else "***"
    path = _LONG_WORD.sub(_mask, parts["path"])
    shown = f"{parts['scheme'] or ''}{parts['slashes']}{authority}{path}{'?***' if parts['rest'].startswith('?') else ''}"
    return ascii(shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}...")


def _mask(word: re.Match[str]) -> str:
    """Hide what looks like a token: long, of letters and digits."""
    text = word[0]
    return text if text.isalpha() or text.isdigit() else "***"
