"""Which addresses are places of the public internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network

from ergaster_support_egress.urls import Address

__all__ = ["why_forbidden"]

# IANA's registries of special addresses; Python's own tables differ from version to version.
_IPV4 = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "is the unspecified address"),
        ("127.0.0.0/8", "is this machine (loopback)"),
        ("169.254.169.254/32", "is a metadata service"),
        ("169.254.0.0/16", "is link-local"),
        ("168.63.129.16/32", "is a metadata service"),
        ("100.64.0.0/10", "is shared by carriers (CGNAT)"),
        ("10.0.0.0/8", "is private"),
        ("172.16.0.0/12", "is private"),
        ("192.168.0.0/16", "is private"),
        ("192.0.0.0/24", "is reserved for protocols"),
        ("192.0.2.0/24", "is reserved for documents"),
        ("198.51.100.0/24", "is reserved for documents"),
        ("203.0.113.0/24", "is reserved for documents"),
        ("192.88.99.0/24", "is a relay from IPv6"),
        ("198.18.0.0/15", "is reserved for measurements"),
        ("224.0.0.0/4", "is multicast"),
        ("240.0.0.0/4", "is reserved"),
    )
)
_IPV6 = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "is the unspecified address"),
        ("::1/128", "is this machine (loopback)"),
        ("::/96", "holds an IPv4 address (compatible)"),
        ("::ffff:0:0/96", "holds an IPv4 address (mapped)"),
        ("::ffff:0:0:0/96", "holds an IPv4 address (translated)"),
        ("64:ff9b:1::/48", "holds an IPv4 address (local NAT64)"),
        ("2002::/16", "holds an IPv4 address (6to4)"),
        ("2001::/32", "holds an IPv4 address (Teredo)"),
        ("2001::/23", "is reserved for protocols"),
        ("2001:db8::/32", "is reserved for documents"),
        ("3fff::/20", "is reserved for documents"),
        ("fd00:ec2::254/128", "is a metadata service"),
        ("fc00::/7", "is private"),
        ("fe80::/10", "is link-local"),
        ("fec0::/10", "is private (site-local)"),
        ("ff00::/8", "is multicast"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_PUBLIC_IPV6 = IPv6Network("2000::/3")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def why_forbidden(address: Address) -> str:
    """Return what *address* is if it is no place of the public internet, such as `is private`; else an empty text."""
    if isinstance(address, IPv4Address):
        return _first(address) or ("" if address.is_global else "is reserved")
    if address in _NAT64:  # networks without IPv4 reach every IPv4 host so: what counts is the address inside
        inside = why_forbidden(IPv4Address(int(address) & 0xFFFF_FFFF))
        return f"leads to an IPv4 address (NAT64) that {inside}" if inside else ""
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return "holds an IPv4 address (ISATAP)"
    return _first(address) or ("" if address in _PUBLIC_IPV6 and address.is_global else "is reserved")


def _first(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in _IPV4 if address in network), "")
    return next((reason for network, reason in _IPV6 if address in network), "")
