"""The one transport: every request of every client that uses it goes through the guard. Imports httpx."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpcore
import httpx

from ergaster_support_egress.connecting import PinnedBackend
from ergaster_support_egress.decoding import ENCODINGS, Decoder
from ergaster_support_egress.errors import EgressError, EgressFailed, EgressTimeout, ResponseTooLarge, show_url
from ergaster_support_egress.guard import Guard
from ergaster_support_egress.urls import Target, parse_url

__all__ = ["EgressTransport"]

_REPLACED = frozenset({b"host", b"accept-encoding", b"connection"})
_CONSUMED = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
_HEAD = "HEAD"


class EgressTransport(httpx.AsyncBaseTransport):
    """Sends requests to places that the guard allows, over a new connection to the address that it checked.

    Give it to any client of httpx: `httpx.AsyncClient(transport=EgressTransport(guard), trust_env=False)`; without
    `trust_env=False` httpx routes around it when the environment names a proxy. Bodies
    come unpacked and bounded; a redirect that the client follows is judged like a first request.

    Args:
        guard: Decides, and holds the limits.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._tls: ssl.SSLContext | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            EgressError: If it was refused, failed, took too long, or its answer is too large.
        """
        settings = self._guard.settings
        deadline = asyncio.get_running_loop().time() + settings.timeout
        target = parse_url(str(request.url))
        with _translated(target, settings.timeout):
            async with asyncio.timeout_at(deadline):
                connection = await self._connect(target)
                try:
                    response = await connection.handle_async_request(_encode(request, target, self._limits()))
                except BaseException:
                    await connection.aclose()
                    raise
        body = _Body(connection, response, target, self._guard, deadline, is_empty=request.method == _HEAD)
        try:
            body.check_head()
        except EgressError:
            await body.aclose()
            raise
        kept = [(name, value) for name, value in response.headers if name.lower() not in _CONSUMED]
        return httpx.Response(response.status, headers=kept, stream=body)

    async def _connect(self, target: Target) -> httpcore.AsyncHTTPConnection:
        addresses = await self._guard.addresses(target)
        if self._tls is None:
            self._tls = await asyncio.to_thread(_make_tls, self._guard.settings.ca_file)
        return httpcore.AsyncHTTPConnection(
            origin=httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port),
            ssl_context=self._tls,
            keepalive_expiry=0,
            network_backend=PinnedBackend(addresses, self._guard.settings.proxy, self._tls),
        )

    def _limits(self) -> dict[str, float]:
        settings = self._guard.settings
        return {"connect": settings.connect_timeout, "read": settings.read_timeout, "write": settings.read_timeout}


class _Body(httpx.AsyncByteStream):
    """A body that is unpacked as it arrives, within the limits; closing it closes its connection."""

    def __init__(
        self,
        connection: httpcore.AsyncHTTPConnection,
        response: httpcore.Response,
        target: Target,
        guard: Guard,
        deadline: float,
        *,
        is_empty: bool,
    ) -> None:
        self._connection = connection
        self._response = response
        self._target = target
        self._settings = guard.settings
        self._deadline = deadline
        self._is_empty = is_empty

    def check_head(self) -> None:
        """Refuse an answer that has too many headers or announces too large a body."""
        place, headers = show_url(self._target.url), self._response.headers
        if len(headers) > self._settings.max_headers:
            raise ResponseTooLarge(
                f"{place} answers with {len(headers):,} headers; {self._settings.max_headers} are read", url=place
            )
        announced = next((value for name, value in headers if name.lower() == b"content-length"), b"0")
        if not self._is_empty and announced.isdigit() and int(announced[:20]) > self._settings.max_bytes:
            limit = self._settings.max_bytes
            raise ResponseTooLarge(f"{place} announces more than {limit:,} bytes; ask for less, or raise max_bytes", url=place)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._is_empty:
            return
        encodings = [value.decode("latin-1") for name, value in self._response.headers if name.lower() == b"content-encoding"]
        decoder = Decoder(", ".join(encodings), self._settings, show_url(self._target.url))
        pieces = self._response.aiter_stream()
        while True:
            with _translated(self._target, self._settings.timeout):
                async with asyncio.timeout_at(self._deadline):
                    data = await anext(pieces, None)
            if data is None:
                break
            for piece in decoder.feed(data):
                yield piece
        decoder.finish()

    async def aclose(self) -> None:
        """Close the connection; nothing of it is used again."""
        await self._connection.aclose()


def _encode(request: httpx.Request, target: Target, limits: dict[str, float]) -> httpcore.Request:
    headers = [(b"Host", target.authority.encode())]
    headers += [(name, value) for name, value in request.headers.raw if name.lower() not in _REPLACED]
    headers += [(b"Accept-Encoding", ENCODINGS.encode()), (b"Connection", b"close")]
    url = httpcore.URL(scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode())
    return httpcore.Request(request.method, url, headers=headers, content=request.stream, extensions={"timeout": limits})


def _make_tls(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context(trust_env=False)


@contextmanager
def _translated(target: Target, total: float) -> Iterator[None]:
    """Say in our own words what went wrong; a library's message may repeat what the server sent."""
    place = show_url(target.url)
    try:
        yield
    except httpcore.ConnectTimeout as error:
        raise EgressTimeout(f"{place} cannot be reached: no connection in time; try again later", url=place) from error
    except httpcore.TimeoutException as error:
        raise EgressTimeout(f"{place} fell silent before its answer was complete; try again later", url=place) from error
    except TimeoutError as error:
        raise EgressTimeout(f"{place} did not answer within {total:g} s; ask for less, or raise timeout", url=place) from error
    except httpcore.ConnectError as error:
        raise EgressFailed(f"{place} cannot be reached: {_reason(error)}", url=place) from error
    except httpcore.ProxyError as error:
        raise EgressFailed(f"{place} cannot be reached: {error}; check the option proxy", url=place) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise EgressFailed(f"{place} broke off or answered with something that is no HTTP; try again", url=place) from error


def _reason(error: BaseException) -> str:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"its certificate is not valid ({seen.verify_message}); use another address"
        if isinstance(seen, ssl.SSLError):
            return "it does not speak TLS as it should; check the scheme and the port"
        seen = seen.__cause__ or seen.__context__
    return "nobody answers at its address; check host and port"
