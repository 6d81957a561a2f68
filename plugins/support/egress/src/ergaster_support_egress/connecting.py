"""Connections to the checked addresses, and to nothing else. Imports httpcore."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from ipaddress import IPv6Address
from ssl import SSLContext
from urllib.parse import unquote, urlsplit

import httpcore

from ergaster.secrets import Secret
from ergaster_support_egress.urls import Address

__all__ = ["PinnedBackend"]

_MAX_PROXY_HEAD = 8_192
_SOCKET_OPTION = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to *addresses*, whatever name is asked for: names are resolved and judged before.

    Args:
        addresses: Where a connection may lead, tried in this order.
        proxy: URL of a proxy, which is asked for a tunnel to the address.
        tls: Makes connections to a proxy of the scheme https.
    """

    def __init__(self, addresses: tuple[Address, ...], proxy: Secret | None, tls: SSLContext) -> None:
        self._addresses = addresses
        self._proxy = proxy
        self._tls = tls
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to the first address that answers."""
        failure: Exception = httpcore.ConnectError("there is no address to connect to")
        for address in self._addresses:
            try:
                if self._proxy is not None:
                    return await self._tunnel(self._proxy.reveal(), address, port, timeout)
                return await self._inner.connect_tcp(str(address), port, timeout=timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _tunnel(self, proxy: str, address: Address, port: int, timeout: float | None) -> httpcore.AsyncNetworkStream:
        parts = urlsplit(proxy)
        is_secure = parts.scheme == "https"
        host = parts.hostname or ""
        stream = await self._inner.connect_tcp(host, parts.port or (443 if is_secure else 80), timeout=timeout)
        try:
            if is_secure:
                stream = await stream.start_tls(self._tls, server_hostname=host, timeout=timeout)
            place = f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"
            lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
            if parts.username is not None:
                login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
                lines.append(f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}")
            await stream.write("\r\n".join([*lines, "", ""]).encode(), timeout=timeout)
            await _read_consent(stream, timeout)
        except BaseException:
            await stream.aclose()
            raise
        return stream


async def _read_consent(stream: httpcore.AsyncNetworkStream, timeout: float | None) -> None:
    """Read the proxy's answer, a byte at a time, so that nothing of what follows is lost."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = await stream.read(1, timeout=timeout)
        head += piece
        if not piece or len(head) > _MAX_PROXY_HEAD:
            raise httpcore.ProxyError("the proxy gave no usable answer")
    status = head.split(b" ", 2)[1:2]
    if not head.startswith(b"HTTP/1.") or status != [b"200"]:
        raise httpcore.ProxyError(f"the proxy answered {b''.join(status)[:3].decode('ascii', 'replace')}")
