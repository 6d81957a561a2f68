"""What a transport is: one request out, one response back, whole or in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from attrs import field, frozen

__all__ = ["Request", "Response", "StreamingResponse", "Timeout", "Transport"]

DEFAULT_RESPONSE_LIMIT = 64 * 1024 * 1024


@frozen
class Timeout:
    """How long a request may take.

    Attributes:
        total: Seconds for the whole exchange, body included; None for no limit.
        connect: Seconds to open a connection.
        read: Longest silence between two pieces of the response, in seconds; None for no limit.
    """

    total: float | None = 600.0
    connect: float | None = 10.0
    read: float | None = None


@frozen
class Request:
    """A request.

    Attributes:
        url: The absolute address; `http` or `https`.
        body: The bytes to send.
        headers: Header fields; they may hold keys and are never in a repr.
        method: The HTTP method.
        timeout: How long it may take.
    """

    url: str
    body: bytes = field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    method: str = "POST"
    timeout: Timeout = Timeout()


@frozen
class Response:
    """A whole response; any status, redirects included, is a response and no error.

    Attributes:
        status: The HTTP status.
        headers: Header fields by lower-case name.
        body: The decompressed bytes.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")


class StreamingResponse(Protocol):
    """A response whose body is still on its way."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields by lower-case name."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive, cut anywhere.

        Raises:
            TransportError: If the body is cut, too long, or late.
        """

    async def read(self) -> bytes:
        """Return the whole body."""


@runtime_checkable
class Transport(Protocol):
    """Sends requests; the one thing to replace for another HTTP library, a proxy of one's own, or a recorder.

    It follows no redirect, retries nothing, reads no proxy from the environment unless told to, and closes the
    connection of a call that is cancelled. It serves many calls at once, also from several event loops.
    """

    async def send(self, request: Request) -> Response:
        """Return the whole response.

        Raises:
            TransportError: If there is none.
        """

    def stream(self, request: Request) -> AbstractAsyncContextManager[StreamingResponse]:
        """Return the response as soon as its head is there; leaving the block early closes the connection.

        Raises:
            TransportError: If there is none.
        """

    async def close(self) -> None:
        """Release connections; a later call opens them again."""
