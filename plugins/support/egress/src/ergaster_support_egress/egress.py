"""Fetching: a request, its redirects, its answer."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from ergaster_support_egress.errors import EgressTimeout, UrlRefused, show_url
from ergaster_support_egress.guard import Guard, Resolver, resolve
from ergaster_support_egress.requests import Hop, first_hop, next_hop
from ergaster_support_egress.settings import EgressSettings

if TYPE_CHECKING:
    import httpx

    from ergaster_support_egress.transport import EgressTransport

__all__ = ["Egress", "Page", "PageStream"]


@frozen
class Page:
    """An answer.

    Attributes:
        url: Where it came from in the end.
        status: The HTTP status; an error of the server is an answer, too.
        headers: By lower-case name; several of one name are joined with a comma.
        body: Unpacked.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def media_type(self) -> str:
        """The type of the body, such as `text/html`, in lower case and without parameters; empty if it was not said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@frozen
class PageStream:
    """An answer whose body is still on its way.

    Attributes:
        url: Where it comes from in the end.
        status: The HTTP status.
        headers: By lower-case name.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    _response: httpx.Response = field(repr=False)

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, unpacked.

        Raises:
            EgressError: If it breaks off, takes too long or is too large.
        """
        return self._response.aiter_raw()

    async def read(self) -> bytes:
        """Return the rest of the body."""
        return b"".join([chunk async for chunk in self.chunks()])


@define(eq=False)
class Egress:
    """The way out: fetches URLs that the guard allows.

    It holds no connection and no cookie between two requests, and serves many at once, on any event loop.

    Attributes:
        settings: What is allowed, and the limits.
        resolver: Finds the addresses of names.
    """

    settings: EgressSettings = field(factory=EgressSettings)
    resolver: Resolver = field(default=resolve, repr=False)
    _transport: EgressTransport | None = field(default=None, init=False, repr=False)

    async def fetch(self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b"") -> Page:
        """Return the answer to a request, after redirects.

        Args:
            url: A complete URL of the scheme https or http.
            method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
            headers: More headers. On a redirect to another origin they stay behind.
            body: What is sent.

        Raises:
            UrlRefused: If the guard does not allow it, or a redirect of it.
            EgressFailed: If there is no proper answer; `EgressTimeout` if there is none in time.
            ResponseTooLarge: If the answer passes a limit.
        """
        async with self.open(url, method, headers, body) as stream:
            return Page(stream.url, stream.status, stream.headers, await stream.read())

    @asynccontextmanager
    async def open(
        self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> AsyncIterator[PageStream]:
        """Return the answer as soon as its head is there; arguments and errors as for `fetch`."""
        hop = first_hop(url, method, headers or {}, body)
        guard = Guard(self.settings, self.resolver)
        guard.check(hop.target)
        transport = await self._get_transport(guard)
        response: httpx.Response | None = None
        limit = asyncio.timeout(self.settings.timeout)
        try:
            async with limit:
                hop, response = await self._follow(transport, hop)
                names = dict.fromkeys(response.headers.keys())
                yield PageStream(
                    hop.target.url, response.status_code, {name: response.headers[name] for name in names}, response
                )
        except TimeoutError as error:
            if not limit.expired():
                raise  # the caller's own
            place, seconds = show_url(url), f"{self.settings.timeout:g} s"
            raise EgressTimeout(f"{place} was not read within {seconds}; ask for less, or raise timeout", url=place) from error
        finally:
            if response is not None:
                await response.aclose()

    async def _follow(self, transport: EgressTransport, hop: Hop) -> tuple[Hop, httpx.Response]:
        first = hop
        for _ in range(self.settings.max_redirects + 1):
            response = await transport.handle_async_request(self._request(hop))
            try:
                after = next_hop(
                    hop, response.status_code, response.headers.get("location"), allow_downgrade=self.settings.allow_downgrade
                )
            except BaseException:
                await response.aclose()
                raise
            if after is None:
                return hop, response
            await response.aclose()
            hop = after
        place = show_url(first.target.url)
        raise UrlRefused(f"{place} was given up after {self.settings.max_redirects} redirects; ask another URL", url=place)

    def _request(self, hop: Hop) -> httpx.Request:
        import httpx

        headers = {"user-agent": self.settings.user_agent, "accept": "*/*", **hop.headers}
        return httpx.Request(hop.method, hop.target.url, headers=headers, content=hop.body or None)

    async def _get_transport(self, guard: Guard) -> EgressTransport:
        if self._transport is None:
            if "httpx" not in sys.modules:
                await asyncio.to_thread(importlib.import_module, "httpx")
            from ergaster_support_egress.transport import EgressTransport

            self._transport = EgressTransport(guard)
        return self._transport
