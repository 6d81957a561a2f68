"""A request on its way, and what becomes of it at a redirect."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import evolve, frozen

from ergaster_support_egress.errors import UrlRefused, show_url
from ergaster_support_egress.urls import Target, join_url, parse_url

__all__ = ["Hop", "first_hop", "next_hop"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OURS = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"),
        *("accept-encoding", "proxy-authorization", "proxy-connection", "http2-settings"),
    }
)
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_VALUE = re.compile(r"[\x21-\x7e\xa0-\xff]([\x20-\x7e\t\xa0-\xff]*[\x21-\x7e\xa0-\xff])?\Z|\Z")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_HEADER = 8_000


@frozen
class Hop:
    """One request.

    Attributes:
        target: Where it goes.
        method: In capitals.
        headers: By lower-case name.
        body: What is sent.
    """

    target: Target
    method: str
    headers: Mapping[str, str]
    body: bytes = b""


def first_hop(url: str, method: str, headers: Mapping[str, str], body: bytes) -> Hop:
    """Return the request that was asked for.

    Raises:
        UrlRefused: If the URL, the method or a header is none that may be sent.
    """
    target, place = parse_url(url), show_url(url)
    if method.upper() not in _METHODS:
        raise UrlRefused(f"{place} was refused: the method is none of {', '.join(sorted(_METHODS))}", url=place)
    for name, value in headers.items():
        problem = _problem(name, value)
        if problem:
            raise UrlRefused(f"{place} was refused: the header {name[:60]!r} {problem}", url=place)
    return Hop(target, method.upper(), {name.lower(): value for name, value in headers.items()}, body)


def next_hop(hop: Hop, status: int, location: str | None, *, allow_downgrade: bool) -> Hop | None:
    """Return the request that a redirect asks for; None if the answer is no redirect.

    To another origin go only headers that say nothing about the sender, and no body at all.

    Raises:
        UrlRefused: If the new URL is none that may be asked, leads from https to http, or wants the body elsewhere.
    """
    if status not in _REDIRECTS or location is None:
        return None
    target = join_url(hop.target, location)
    place, origin = show_url(target.url), show_url(hop.target.url)
    if hop.target.scheme == "https" and target.scheme == "http" and not allow_downgrade:
        raise UrlRefused(f"the redirect from {origin} to {place} was refused: it leads from https to http", url=place)
    turns_to_get = (status == 303 and hop.method != "HEAD") or (status in (301, 302) and hop.method == "POST")
    if turns_to_get:
        kept = {name: value for name, value in hop.headers.items() if not name.startswith("content-")}
        hop = evolve(hop, method="GET", headers=kept, body=b"")
    if target.origin == hop.target.origin:
        return evolve(hop, target=target)
    if hop.method not in ("GET", "HEAD", "OPTIONS"):
        raise UrlRefused(
            f"the redirect from {origin} to {place} was refused: it would send a {hop.method} request to another host; "
            "ask that URL itself if it is meant",
            url=place,
        )
    return evolve(hop, target=target, headers={name: hop.headers[name] for name in hop.headers if name in _HARMLESS})


def _problem(name: str, value: str) -> str:
    if not _TOKEN.match(name) or len(name) > 100:
        return "is no name of a header"
    if name.lower() in _OURS:
        return "is set by the guard; leave it out"
    if len(value) > _MAX_HEADER or not _VALUE.match(value):
        return f"has a value that is longer than {_MAX_HEADER:,} characters or holds line breaks or letters that cannot be sent"
    return ""
