"""The vendor's SDK as a transport: its credentials, signing, address and connections, none of its objects per message.

Bodies go in and come out as bytes (`client.post(..., cast_to=httpx2.Response)`), so that the SDK's transform of every
message and its object per token cost nothing.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from attrs import define, evolve, field, frozen

from ergaster.secrets import Secret
from ergaster_support_http import (
    ConnectFailed,
    ConnectionCut,
    Lifetime,
    Request,
    Response,
    ResponseTooLarge,
    TimedOut,
    TransportError,
    close_with_loop,
    was_never_sent,
)

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI, RequestOptions

__all__ = ["SdkOptions", "SdkTransport"]


BODY_SENT_WHOLE = 2**18
"""A longer body goes out in pieces of this length, so that the event loop stays free."""


@frozen(kw_only=True)
class SdkOptions:
    """What the SDK's client is made with; None leaves the SDK's own default, mostly an environment variable.

    Attributes:
        api_key: The key.
        base_url: The address.
        organization: The organization that is billed.
        project: The project that is billed.
        proxy: Address of an HTTP proxy; `env` reads the usual environment variables.
    """

    api_key: Secret | None = None
    base_url: str | None = None
    organization: str | None = None
    project: str | None = None
    proxy: str | None = field(default=None, repr=False)


@define(eq=False)
class _Connections:
    """A pool of the SDK's kind, on one event loop."""

    http: httpx2.AsyncClient
    lifetime: Lifetime


_connections: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str | None, _Connections]] = WeakKeyDictionary()
"""One pool per event loop and proxy: making one reads the certificates, which takes longer than many a call."""


@define(eq=False)
class SdkTransport:
    """Sends requests through the SDK, whose URL is a path below the SDK's base URL.

    Attributes:
        options: What the client is made with.
        client: A client of the user's; it is used as it is and never closed here.
        http_client: An httpx2 client of the user's, below an SDK client of ours; never closed here.
        response_limit: The largest response, in bytes after decompression.
    """

    options: SdkOptions = SdkOptions()
    client: AsyncOpenAI | None = field(default=None, repr=False)
    http_client: httpx2.AsyncClient | None = field(default=None, repr=False)
    response_limit: int = 64 * 1024 * 1024
    _clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = field(
        factory=WeakKeyDictionary, init=False, repr=False
    )
    _base_url: str = field(default="", init=False, repr=False)

    async def send(self, request: Request) -> Response:
        """Return the whole response."""
        async with self.stream(request) as response:
            return Response(response.status, response.headers, await response.read())

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[_SdkResponse]:
        """Return the response as soon as its head is there."""
        client = self.client
        if client is None:
            client = self._clients.get(asyncio.get_running_loop()) or await self._make_client()
            # The SDK would put its address before the path and parse both anew; a client of the user's may do more to it.
            request = evolve(request, url=self._base_url + request.url)
        response: httpx2.Response | None = None
        try:
            async with asyncio.timeout(request.timeout.total):
                response = await _post_anew(client, request)
                yield _SdkResponse(response, self.response_limit)
        except TimeoutError as error:
            raise TimedOut(f"no answer within {request.timeout.total} s") from error
        except Exception as error:  # boundary: the SDK and the two HTTP libraries below it have three families of errors
            _raise_translated(error)
            raise
        finally:
            if response is not None:
                await response.aclose()
                await asyncio.sleep(0)  # a server that closes right behind its stream is heard before the next call

    async def close(self) -> None:
        """Forget the client; its pool serves others and is closed with its loop."""
        self._clients.pop(asyncio.get_running_loop(), None)

    async def _make_client(self) -> AsyncOpenAI:
        openai = await asyncio.to_thread(importlib.import_module, "openai")
        http = self.http_client or (await _shared_connections(self.options.proxy)).http
        options = self.options
        client: AsyncOpenAI = openai.AsyncOpenAI(
            api_key=options.api_key.reveal() if options.api_key else None,
            base_url=options.base_url,
            organization=options.organization,
            project=options.project,
            http_client=http,
            max_retries=0,
        )
        self._clients[asyncio.get_running_loop()] = client
        self._base_url = str(client.base_url).rstrip("/")
        return client


class _SdkResponse:
    def __init__(self, response: httpx2.Response, limit: int) -> None:
        self._response = response
        self._limit = limit
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers.items())  # its keys alone would search for each value

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


async def _post_anew(client: AsyncOpenAI, request: Request) -> httpx2.Response:
    """Send *request*, once more if it never left because the server had closed the connection."""
    from openai import APIConnectionError

    try:
        return await _post(client, request)
    except APIConnectionError as error:
        if not was_never_sent(error):
            raise
    return await _post(client, request)


async def _post(client: AsyncOpenAI, request: Request) -> httpx2.Response:
    """Send *request* and return the response with its body unread, errors included."""
    import httpx2
    from openai import APIStatusError, AsyncStream

    options: RequestOptions = {
        "headers": {**request.headers, "content-length": str(len(request.body))},
        "timeout": httpx2.Timeout(None, connect=request.timeout.connect, read=request.timeout.read),
        "follow_redirects": False,
    }
    try:
        if request.method == "GET":
            return await client.get(request.url, cast_to=httpx2.Response, options=options)
        # A stream of whatever the server sends: with this `cast_to` the SDK gives the response itself.
        streamed = client.post(
            request.url,
            cast_to=httpx2.Response,
            content=request.body if len(request.body) <= BODY_SENT_WHOLE else _in_pieces(request.body),
            options=options,
            stream=True,
            stream_cls=AsyncStream[object],
        )
        return cast(httpx2.Response, await streamed)
    except APIStatusError as error:
        return error.response


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), BODY_SENT_WHOLE):
        yield body[start : start + BODY_SENT_WHOLE]


async def _shared_connections(proxy: str | None) -> _Connections:
    loop = asyncio.get_running_loop()
    pools = _connections.setdefault(loop, {})
    if proxy not in pools:
        http = await asyncio.to_thread(_make_http_client, proxy)
        if proxy not in pools:  # another task may have been quicker
            pools[proxy] = _Connections(http, await close_with_loop(http.aclose))
    return pools[proxy]


def _make_http_client(proxy: str | None) -> httpx2.AsyncClient:
    import httpx2
    from openai import DefaultAioHttpClient

    return DefaultAioHttpClient(
        trust_env=proxy == "env",
        proxy=None if proxy == "env" else proxy,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=4.5),
    )


def _raise_translated(error: Exception) -> None:
    """Raise *error* as one of the transport's; return when it is none of the SDK's or of HTTP."""
    import httpx2
    from openai import APIConnectionError, APITimeoutError

    if isinstance(error, TransportError):
        return
    cause = error.__cause__ if isinstance(error, APIConnectionError) else error
    reason = str(cause or error) or type(cause or error).__name__
    if isinstance(cause, httpx2.ConnectError | httpx2.UnsupportedProtocol | httpx2.InvalidURL | httpx2.ProxyError):
        raise ConnectFailed(f"cannot connect: {reason}") from error
    if isinstance(error, APITimeoutError | httpx2.TimeoutException):
        raise TimedOut(f"the connection fell silent or broke: {reason}") from error
    if isinstance(error, APIConnectionError | httpx2.HTTPError | ConnectionError):
        raise ConnectionCut(f"the connection broke: {reason}") from error
