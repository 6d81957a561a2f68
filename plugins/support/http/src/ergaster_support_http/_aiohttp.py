"""The default transport: aiohttp, with one pool per event loop that every transport of equal options shares."""

from __future__ import annotations

import asyncio
import importlib
import io
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, WeakSet

from attrs import define, field, frozen

from ergaster_support_http._lifetime import Lifetime, close_with_loop
from ergaster_support_http.errors import (
    ConnectFailed,
    ConnectionCut,
    ResponseTooLarge,
    TimedOut,
    TransportError,
)
from ergaster_support_http.transport import DEFAULT_RESPONSE_LIMIT, Request, Response, Timeout

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession, ClientTimeout

__all__ = ["AiohttpTransport", "was_never_sent"]

BODY_SENT_WHOLE = 2**20
"""Above it aiohttp wants a file-like body, which it sends in pieces so that the event loop stays free."""


KEEP_ALIVE = 4.5
"""Seconds after which an idle connection is closed: just below the five after which many servers close theirs."""


@frozen
class _PoolOptions:
    proxy: str | None
    connections: int


@define(eq=False)
class _Pool:
    """A session of one event loop and the transports that use it."""

    session: ClientSession
    lifetime: Lifetime
    users: WeakSet[AiohttpTransport] = field(factory=WeakSet)


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_PoolOptions, _Pool]] = WeakKeyDictionary()


@define(eq=False)
class AiohttpTransport:
    """Sends requests through aiohttp.

    Transports of equal options share one pool of connections on an event loop; the pool goes when the last of them
    is closed, or with its loop. aiohttp is imported at the first request, off the event loop.

    Attributes:
        proxy: Address of an HTTP proxy; `env` reads the usual environment variables, None uses none.
        connections: How many connections to one endpoint may be open at once; further calls wait.
        response_limit: The largest response, in bytes after decompression.
    """

    proxy: str | None = field(default=None, repr=lambda proxy: "***" if proxy else "None")
    connections: int = 1000
    response_limit: int = DEFAULT_RESPONSE_LIMIT
    _options: _PoolOptions = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._options = _PoolOptions(self.proxy, self.connections)

    async def send(self, request: Request) -> Response:
        """Return the whole response."""
        response = await self._open(request)
        try:
            headers = _lower(response)
            if _fits(response, headers, self.response_limit):
                body = await response.read()
            else:
                body = b"".join([chunk async for chunk in _limited(response, self.response_limit)])
        except BaseException as error:
            response.close()
            _raise_translated(error, request)
            raise
        response.release()
        return Response(response.status, headers, body)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[_AiohttpResponse]:
        """Return the response as soon as its head is there."""
        response = await self._open(request)
        try:
            yield _AiohttpResponse(response, request, self.response_limit)
        finally:
            # A body read to its end has given its connection back already; anything else must not be used again.
            response.close()
            await asyncio.sleep(0)  # a server that closes right behind its stream is heard before the next call

    async def close(self) -> None:
        """Release this transport's share of the pool; the last one closes it."""
        pools = _pools.get(asyncio.get_running_loop(), {})
        pool = pools.get(self._options)
        if pool is None or self not in pool.users:
            return
        pool.users.discard(self)
        if not pool.users:
            del pools[self._options]
            await pool.lifetime.aclose()

    async def _open(self, request: Request) -> ClientResponse:
        pool = _pools.get(asyncio.get_running_loop(), {}).get(self._options) or await _make_pool(self._options)
        pool.users.add(self)
        try:
            return await self._request(pool.session, request)
        except Exception as error:  # boundary: aiohttp's errors leave no other way
            if not was_never_sent(error):
                _raise_translated(error, request)
                raise
        # The server had closed a connection that the pool still held: the request has not left, so it goes again.
        try:
            return await self._request(pool.session, request)
        except Exception as error:  # boundary: as above
            _raise_translated(error, request)
            raise

    async def _request(self, session: ClientSession, request: Request) -> ClientResponse:
        body = request.body
        return await session.request(
            request.method,
            request.url,
            data=io.BytesIO(body) if len(body) > BODY_SENT_WHOLE else body or None,
            headers=request.headers,
            timeout=_client_timeout(request.timeout),
            allow_redirects=False,
            proxy=None if self.proxy == "env" else self.proxy,
        )


def was_never_sent(error: BaseException) -> bool:
    """Say whether a request failed on a connection that was closed before the request was written whole.

    Some servers close a connection right behind a stream although they promised to keep it. No server acts on half a
    request, so such a one may be sent again, whatever its method.
    """
    import aiohttp

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, aiohttp.ClientConnectionResetError):
            return True
        seen = seen.__cause__
    return False


class _AiohttpResponse:
    """A response whose body is read in the pieces in which it arrives."""

    def __init__(self, response: ClientResponse, request: Request, limit: int) -> None:
        self._response = response
        self._request = request
        self._limit = limit
        self.status: int = response.status
        self.headers: Mapping[str, str] = _lower(response)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive."""
        try:
            async for chunk in _limited(self._response, self._limit):
                yield chunk
        except Exception as error:  # boundary: aiohttp's errors leave no other way
            _raise_translated(error, self._request)
            raise

    async def read(self) -> bytes:
        """Return the whole body."""
        return b"".join([chunk async for chunk in self.chunks()])


async def _make_pool(options: _PoolOptions) -> _Pool:
    if "aiohttp" not in sys.modules:
        await asyncio.to_thread(importlib.import_module, "aiohttp")
    import aiohttp

    pools = _pools.setdefault(asyncio.get_running_loop(), {})
    if options in pools:  # another task made it while this one waited for the import
        return pools[options]
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, limit_per_host=options.connections, ttl_dns_cache=60, keepalive_timeout=KEEP_ALIVE
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=options.proxy == "env",
        skip_auto_headers=("User-Agent",),
    )
    pool = pools[options] = _Pool(session, await close_with_loop(session.close))
    return pool


@lru_cache(maxsize=64)
def _client_timeout(timeout: Timeout) -> ClientTimeout:
    from aiohttp import ClientTimeout

    return ClientTimeout(total=timeout.total, sock_connect=timeout.connect, sock_read=timeout.read)


def _lower(response: ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _fits(response: ClientResponse, headers: Mapping[str, str], limit: int) -> bool:
    """Say whether the announced length, of a body that is not compressed, is within the limit."""
    length = response.content_length
    return length is not None and length <= limit and "content-encoding" not in headers


async def _limited(response: ClientResponse, limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise ResponseTooLarge(f"the response has more than {limit} bytes; raise response_limit if that is meant")
        yield chunk


def _raise_translated(error: BaseException, request: Request) -> None:
    """Raise *error* as one of ours; return when it is none of aiohttp's."""
    import aiohttp

    host = urlsplit(request.url).netloc.rpartition("@")[2]
    rules: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Callable[[], TransportError]], ...] = (
        (aiohttp.ConnectionTimeoutError, lambda: ConnectFailed(f"no connection to {host} within {request.timeout.connect} s")),
        (TimeoutError, lambda: TimedOut(f"{host} did not answer in time ({_describe(request.timeout)})")),
        (aiohttp.ClientConnectorError, lambda: ConnectFailed(f"cannot connect to {host}: {_reason(error)}")),
        (aiohttp.InvalidURL, lambda: ConnectFailed(f"{host or 'the address'} is no http or https address; check base_url")),
        (
            (aiohttp.ClientError, ConnectionError),
            lambda: ConnectionCut(f"the connection to {host} broke: {_reason(error)}"),
        ),
    )
    if isinstance(error, TransportError):
        return
    for classes, make in rules:
        if isinstance(error, classes):
            raise make() from error


def _describe(timeout: Timeout) -> str:
    given = {"total": timeout.total, "silence": timeout.read}
    return ", ".join(f"{name} {value:g} s" for name, value in given.items() if value is not None) or "no limit of ours"


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
