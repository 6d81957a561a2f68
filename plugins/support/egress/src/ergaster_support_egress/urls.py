"""What a URL must look like: one reading, the strict one, so that no other reader can see another host in it."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TypeAlias
from urllib.parse import quote, urljoin

from attrs import frozen

from ergaster_support_egress.errors import UrlRefused, show_url

__all__ = ["Address", "Target", "join_url", "parse_url"]

Address: TypeAlias = IPv4Address | IPv6Address

_MAX_URL = 8_000
_PORTS = {"http": 80, "https": 443}
_SHAPE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?\Z"
)
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3000\ufeff\ufff9-\ufffb\ud800-\udfff]")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z")
_KEPT = "/%:@!$&'()*+,;=~-._"


@frozen
class Target:
    """A URL that has been read.

    Attributes:
        scheme: `http` or `https`.
        host: A lower-case ASCII name without a dot at its end, or an address without brackets.
        port: The port, the usual one if the URL names none.
        path: Path and query, as they go out.
        address: The host as an address, if it is one.
    """

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        """What two URLs share when they belong to one owner."""
        return (self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """Host and, where it is not the usual one, port, as in the `Host` header."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in the one spelling that is used from here on."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(url: str) -> Target:
    """Read a URL, strictly.

    Raises:
        UrlRefused: If it has another scheme than http and https, a user or password, a host that is neither a plain
            name nor a plain address, or letters that readers of URLs disagree about.
    """
    try:
        return _parse(url)
    except ValueError as error:
        raise UrlRefused(f"{show_url(url)} was refused: {error}", url=show_url(url)) from None


def join_url(base: Target, location: str) -> Target:
    """Read the address of a redirect, which may be relative to *base*.

    Raises:
        UrlRefused: As `parse_url` does.
    """
    if _ABSOLUTE.match(location) or _UNSEEN.search(location) or "\\" in location:
        return parse_url(location)  # `urljoin` would make something of http:///host and of http:host
    if location.startswith("//"):
        return parse_url(f"{base.scheme}:{location}")
    return parse_url(urljoin(base.url, location))


def _parse(url: str) -> Target:
    if len(url) > _MAX_URL:
        raise ValueError(f"it has more than {_MAX_URL:,} characters; use a shorter one")
    if _UNSEEN.search(url):
        raise ValueError("it holds spaces, control or invisible characters; leave them out or write them as %20")
    if "\\" in url:
        raise ValueError("it holds a backslash; use / between the parts")
    found = _SHAPE.match(url)
    if found is None:
        raise ValueError("it is no complete URL; write it as https://example.com/page")
    scheme = found["scheme"].lower()
    if scheme not in _PORTS:
        raise ValueError(f"the scheme {scheme[:20]!r} is not allowed; only https and http are")
    host, port = _split(found["authority"])
    name, address = _read_host(host)
    path = quote(found["path"] or "/", safe=_KEPT) + quote(found["query"] or "", safe=_KEPT + "?")
    return Target(scheme, name, port or _PORTS[scheme], path, address)


def _split(authority: str) -> tuple[str, int]:
    """Return host and port, 0 for none."""
    if "@" in authority:
        raise ValueError("it holds a user name or password; leave out what stands before the @")
    host, mark, port = authority.partition("]")
    if authority.startswith("[") and mark:
        host += "]"
        if port and not port.startswith(":"):
            raise ValueError("something other than a port follows the ]")
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
    if not port:
        if authority.endswith(":"):
            raise ValueError("the port is missing after the colon; name it or leave out the colon")
        return host, 0
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536):
        raise ValueError("the port is no number from 1 to 65535")
    return host, int(port)


def _read_host(host: str) -> tuple[str, Address | None]:
    if not host:
        raise ValueError("the host is empty; write it as https://example.com/page")
    if host.startswith("["):
        return _read_ipv6(host[1:-1])
    name = _ascii_name(host).removesuffix(".")
    labels = name.split(".")
    if _NUMBER.match(labels[-1]):
        if host != name:
            raise ValueError("the host is an address in an unusual spelling; write it as 203.0.113.7")
        return _read_ipv4(name)
    if len(name) > 253 or not all(_LABEL.match(label) for label in labels):
        raise ValueError("the host is no plain name of letters, digits, hyphens and dots")
    return name, None


def _ascii_name(host: str) -> str:
    if host.isascii():
        return host.lower()
    import idna

    try:
        return idna.encode(host, uts46=True, transitional=False).decode("ascii").lower()
    except UnicodeError:  # idna's own error is one
        raise ValueError("the host is no name that may be registered") from None


def _read_ipv4(host: str) -> tuple[str, Address]:
    try:
        address = IPv4Address(host)
    except AddressValueError:
        raise ValueError("the host is an address in an unusual spelling; write it as 203.0.113.7") from None
    return str(address), address


def _read_ipv6(host: str) -> tuple[str, Address]:
    if "%" in host:
        raise ValueError("the host is an address with a zone; leave out the % and what follows")
    try:
        address = IPv6Address(host)
    except AddressValueError:
        raise ValueError("the host is no IPv6 address; write it as [2001:db8::7]") from None
    return str(address), address
