"""A transport over httpx2, for who has a client of their own or needs HTTP/2."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from attrs import define, field

from ergaster_support_http._lifetime import Lifetime, close_with_loop
from ergaster_support_http.errors import ConnectFailed, ConnectionCut, ResponseTooLarge, TimedOut
from ergaster_support_http.transport import DEFAULT_RESPONSE_LIMIT, Request, Response, Timeout

if TYPE_CHECKING:
    import httpx2

__all__ = ["Httpx2Transport"]


@define(eq=False)
class Httpx2Transport:
    """Sends requests through httpx2; needs `pip install "ergaster-support-http[httpx2]"`.

    Attributes:
        client: A client of yours; it is used on the loop it was made for and never closed here. None makes one per
            event loop.
        response_limit: The largest response, in bytes after decompression.
    """

    client: httpx2.AsyncClient | None = field(default=None, repr=False)
    response_limit: int = DEFAULT_RESPONSE_LIMIT
    _clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[httpx2.AsyncClient, Lifetime]] = field(
        factory=WeakKeyDictionary, init=False, repr=False
    )

    async def send(self, request: Request) -> Response:
        """Return the whole response."""
        async with self.stream(request) as response:
            return Response(response.status, response.headers, await response.read())

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[_Httpx2Response]:
        """Return the response as soon as its head is there."""
        client = self.client or await self._own_client()
        # httpx has no limit for the whole exchange, so the loop keeps it.
        async with (
            _deadline(request),
            _translated(request),
            client.stream(
                request.method,
                request.url,
                content=request.body or None,
                headers=dict(request.headers),
                timeout=_httpx_timeout(request.timeout),
                follow_redirects=False,
            ) as response,
        ):
            yield _Httpx2Response(response, self.response_limit)

    async def close(self) -> None:
        """Close the client of this loop, if it was made here."""
        owned = self._clients.pop(asyncio.get_running_loop(), None)
        if owned is not None:
            await owned[1].aclose()

    async def _own_client(self) -> httpx2.AsyncClient:
        if "httpx2" not in sys.modules:
            await asyncio.to_thread(importlib.import_module, "httpx2")
        import httpx2

        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
            client = httpx2.AsyncClient(limits=limits, trust_env=False)
            self._clients[loop] = (client, await close_with_loop(client.aclose))
        return self._clients[loop][0]


class _Httpx2Response:
    def __init__(self, response: httpx2.Response, limit: int) -> None:
        self._response = response
        self._limit = limit
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive."""
        size = 0
        async for chunk in self._response.aiter_bytes():
            size += len(chunk)
            if size > self._limit:
                raise ResponseTooLarge(f"the response has more than {self._limit} bytes; raise response_limit if that is meant")
            yield chunk

    async def read(self) -> bytes:
        """Return the whole body."""
        return b"".join([chunk async for chunk in self.chunks()])


@asynccontextmanager
async def _deadline(request: Request) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(request.timeout.total):
            yield
    except TimeoutError as error:
        raise TimedOut(f"{_host(request)} did not answer within {request.timeout.total} s") from error


@asynccontextmanager
async def _translated(request: Request) -> AsyncIterator[None]:
    import httpx2

    host = _host(request)
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise ConnectFailed(f"cannot connect to {host}: {_reason(error)}") from error
    except httpx2.TimeoutException as error:
        raise TimedOut(f"{host} did not answer in time") from error
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        raise ConnectionCut(f"the connection to {host} broke: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _host(request: Request) -> str:
    return urlsplit(request.url).netloc.rpartition("@")[2]


@lru_cache(maxsize=64)
def _httpx_timeout(timeout: Timeout) -> httpx2.Timeout:
    import httpx2

    return httpx2.Timeout(None, connect=timeout.connect, read=timeout.read)
