"""What may be fetched, and how much of it."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from attrs import converters, field, frozen, validators

from ergaster.errors import InvalidOption
from ergaster.secrets import Secret
from ergaster_support_egress.urls import Target

__all__ = ["EgressSettings", "Exemption", "read_exemption"]

_NAME = re.compile(r"(?:\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\Z")
_PROXY = re.compile(r"https?://(?:[^@/?#\s]*@)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?/?\Z")
_ENTRY = re.compile(r"(?P<place>\[[0-9A-Fa-f:.]+\](?:/\d+)?|[^\[\]:]+|[0-9A-Fa-f:.]+(?:/\d+)?)(?::(?P<port>\d{1,5}))?\Z")
# A name's exemption does not reach these: metadata services hand out keys. Only a network that is named opens them.
_NEVER_BY_NAME = tuple(map(ip_network, ("169.254.0.0/16", "168.63.129.16/32", "fd00:ec2::254/128", "fe80::/10")))


@frozen
class Exemption:
    """A place that is allowed although it is not on the public internet.

    Attributes:
        name: A host's name, or `*.` and the name of a domain; empty if a network is meant.
        network: A network of addresses; None if a name is meant.
        port: The only port that is meant; None for the usual ones.
    """

    name: str = ""
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None

    def covers_name(self, target: Target) -> bool:
        """Say whether the URL's host is the one that is named."""
        return bool(self.name) and self._covers_port(target) and matches_host(self.name, target.host)

    def covers_address(self, target: Target, address: object) -> bool:
        """Say whether *address*, which the URL's host has, is allowed by this."""
        if not self._covers_port(target):
            return False
        if self.network is not None:
            return address in self.network  # an address of the other family never is
        return matches_host(self.name, target.host) and not any(address in network for network in _NEVER_BY_NAME)

    def _covers_port(self, target: Target) -> bool:
        return self.port is None or self.port == target.port


def matches_host(pattern: str, host: str) -> bool:
    """Say whether *host* is the one that *pattern* names; `*.example.com` stands for every name below example.com."""
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def read_exemption(text: str) -> Exemption:
    """Read an entry of `allow`: `internal.example`, `*.corp.example`, `10.0.0.0/8`, `127.0.0.1:8080` or `[::1]:8080`.

    Raises:
        InvalidOption: If it is none of these.
    """
    found = _ENTRY.match(text)
    place, port = (found["place"], found["port"]) if found else ("", None)
    if port is None or 0 < int(port) < 65_536:
        number = int(port) if port else None
        try:
            return Exemption(network=ip_network(place.replace("[", "").replace("]", "")), port=number)
        except ValueError:
            name = place.lower().removesuffix(".")
            if _NAME.match(name) and not name.replace(".", "").isdigit():
                return Exemption(name=name, port=number)
    raise InvalidOption(
        f"the option allow holds {text!r}, which is neither a host such as 'internal.example' nor a network such as "
        "'10.0.0.0/8', each with or without a port"
    )


def _read_exemptions(entries: tuple[str, ...]) -> tuple[Exemption, ...]:
    return tuple(map(read_exemption, entries))


def _read_hosts(_instance: object, _attribute: object, hosts: tuple[str, ...]) -> None:
    for host in hosts:
        if not _NAME.match(host.lower()):
            raise InvalidOption(f"the option hosts holds {host!r}; write a host as 'example.com' or '*.example.com'")


def _check_proxy(_instance: object, _attribute: object, proxy: Secret | None) -> None:
    if proxy is not None and not _PROXY.match(proxy.reveal()):
        raise InvalidOption("the option proxy is no proxy; write it as http://proxy.example:3128, or https for one with TLS")


@frozen(kw_only=True)
class EgressSettings:
    """Limits of the guard; what is not allowed is refused.

    Attributes:
        allow: Exceptions for places that are not on the public internet: names, `*.` domains, addresses, networks, each
            with or without a port. A name opens no link-local and no metadata address; only a network does.
        hosts: If there are any, the only hosts that may be asked; `*.example.com` stands for all names below it.
        ports: Ports that may be asked; a port in `allow` is allowed for its place besides.
        timeout: Seconds for everything, redirects included.
        connect_timeout: Seconds for one connection.
        read_timeout: Seconds of silence.
        max_bytes: Bytes of a body, after decompression.
        max_ratio: How many times as large as on the wire a body of more than 1 MiB may be.
        max_headers: Lines in the head of an answer.
        max_redirects: Redirects that are followed.
        allow_downgrade: Whether a redirect may lead from https to http.
        proxy: URL of an HTTP proxy, with user and password if it wants them; None for none. The environment is not read.
        ca_file: Certificates of authorities in PEM, instead of the usual ones.
        user_agent: What is said in the `User-Agent` header.
    """

    allow: tuple[str, ...] = ()
    hosts: tuple[str, ...] = field(default=(), validator=_read_hosts)
    ports: tuple[int, ...] = (80, 443, 8080, 8443)
    timeout: float = field(default=30.0, validator=validators.gt(0))
    connect_timeout: float = field(default=10.0, validator=validators.gt(0))
    read_timeout: float = field(default=15.0, validator=validators.gt(0))
    max_bytes: int = field(default=5_000_000, validator=validators.ge(1))
    max_ratio: int = field(default=100, validator=validators.ge(1))
    max_headers: int = field(default=200, validator=validators.ge(1))
    max_redirects: int = field(default=5, validator=validators.ge(0))
    allow_downgrade: bool = False
    proxy: Secret | None = field(default=None, converter=converters.optional(Secret), validator=_check_proxy)
    ca_file: str | None = None
    user_agent: str = "ergaster"
    exemptions: tuple[Exemption, ...] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "exemptions", _read_exemptions(self.allow))
