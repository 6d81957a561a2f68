"""HTTP transport shared by Ergaster plugins.

The only place that names an HTTP library for the traffic of models: a small `Transport`, the default over aiohttp,
another over httpx2. It knows nothing of vendors or formats.
"""

from ergaster_support_http._aiohttp import AiohttpTransport, was_never_sent
from ergaster_support_http._httpx2 import Httpx2Transport
from ergaster_support_http._lifetime import Lifetime, close_with_loop
from ergaster_support_http.errors import (
    ConnectFailed,
    ConnectionCut,
    ResponseTooLarge,
    TimedOut,
    TransportError,
)
from ergaster_support_http.transport import Request, Response, StreamingResponse, Timeout, Transport

__all__ = [
    "AiohttpTransport",
    "ConnectFailed",
    "Lifetime",
    "ConnectionCut",
    "Httpx2Transport",
    "Request",
    "Response",
    "ResponseTooLarge",
    "StreamingResponse",
    "TimedOut",
    "Timeout",
    "Transport",
    "TransportError",
    "close_with_loop",
    "was_never_sent",
]
