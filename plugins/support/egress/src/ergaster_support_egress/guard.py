"""The decision: may this URL be asked, and at which addresses?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import TypeAlias

from attrs import field, frozen

from ergaster_support_egress.addresses import why_forbidden
from ergaster_support_egress.errors import EgressFailed, UrlRefused, show_url
from ergaster_support_egress.settings import EgressSettings, matches_host
from ergaster_support_egress.urls import Address, Target

__all__ = ["Guard", "Resolver", "resolve"]

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name, as texts; raises `OSError` if there are none."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of *host*, in a thread."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


@frozen
class Guard:
    """Judges URLs by their text, and then by the addresses behind it.

    Attributes:
        settings: What is allowed.
        resolver: Finds the addresses of names.
    """

    settings: EgressSettings = field(factory=EgressSettings)
    resolver: Resolver = resolve

    def check(self, target: Target) -> None:
        """Judge what the URL says, without asking anybody.

        Raises:
            UrlRefused: If the host is not among `hosts`, the port is not allowed, the host is a forbidden address, or
                a name without a dot.
        """
        settings = self.settings
        if settings.hosts and not any(matches_host(host.lower(), target.host) for host in settings.hosts):
            raise self._refused(target, f"the host is not among the allowed ones ({', '.join(settings.hosts)})")
        if target.port not in settings.ports and not self._is_port_exempt(target):
            ports = ", ".join(map(str, settings.ports))
            raise self._refused(target, f"the port {target.port} is not allowed; allowed are {ports}")
        if target.address is not None:
            self._check_address(target, target.address)
        elif "." not in target.host and not any(exempt.covers_name(target) for exempt in settings.exemptions):
            raise self._refused(target, "a name without a dot is one of a local network; use a public name")

    async def addresses(self, target: Target) -> tuple[Address, ...]:
        """Return the addresses that a connection may be made to; all that the name has were judged.

        Raises:
            UrlRefused: As `check` does, and if any of the addresses is forbidden.
            EgressFailed: If the name has no address.
        """
        self.check(target)
        if target.address is not None:
            return (target.address,)
        try:
            answers = await self.resolver(target.host, target.port)
            addresses = tuple(dict.fromkeys(map(ip_address, answers)))
        except (OSError, UnicodeError, ValueError):
            addresses = ()
        if not addresses:
            url = show_url(target.url)
            raise EgressFailed(
                f"{url} cannot be reached: no address was found for {target.host!r}; check its spelling", url=url
            )
        for address in addresses:
            self._check_address(target, address)
        return addresses

    def _check_address(self, target: Target, address: Address) -> None:
        exempt = [entry for entry in self.settings.exemptions if entry.covers_address(target, address)]
        leads = "" if address == target.address else f"{target.host!r} leads to {address}, and "
        if target.port not in self.settings.ports and not any(entry.port == target.port for entry in exempt):
            raise self._refused(target, f"{leads}its port {target.port} is not allowed there; allow it by option")
        reason = "has a zone" if getattr(address, "scope_id", None) else why_forbidden(address)
        if reason and not exempt:
            leads = leads.removesuffix(", and ") or str(address)
            raise self._refused(target, f"{leads}, which {reason}; use a public address, or allow this one by option")

    def _is_port_exempt(self, target: Target) -> bool:
        """Say whether the port is named by an entry of `allow` that may be about this host; its address is judged later."""
        return any(
            exempt.port == target.port
            and (
                exempt.covers_name(target)
                if exempt.name
                else target.address is None or target.address in (exempt.network or ())
            )
            for exempt in self.settings.exemptions
        )

    def _refused(self, target: Target, reason: str) -> UrlRefused:
        return UrlRefused(f"{show_url(target.url)} was refused: {reason}", url=show_url(target.url))
