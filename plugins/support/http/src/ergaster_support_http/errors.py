"""What goes wrong below HTTP.

TransportError
├── ConnectFailed       no connection: name, address, TLS or proxy
├── TimedOut            a time limit passed
├── ConnectionCut       the connection ended before the response did
└── ResponseTooLarge    more bytes than the transport accepts
"""

from __future__ import annotations

from ergaster.errors import ErgasterError

__all__ = ["ConnectFailed", "ConnectionCut", "ResponseTooLarge", "TimedOut", "TransportError"]


class TransportError(ErgasterError):
    """A request that got no response, or only a part of one."""


class ConnectFailed(TransportError):
    """No connection could be made; nothing was sent."""


class TimedOut(TransportError):
    """A time limit passed."""


class ConnectionCut(TransportError):
    """The connection ended before the response did."""


class ResponseTooLarge(TransportError):
    """The response has more bytes than the transport accepts; the connection was closed."""
