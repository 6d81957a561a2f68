"""The one guard of everything that Ergaster's plugins fetch from other machines.

Importing it loads no HTTP library. The transport for clients of your own is
`ergaster_support_egress.transport.EgressTransport`, which does.
"""

from ergaster_support_egress.egress import Egress, Page, PageStream
from ergaster_support_egress.errors import EgressError, EgressFailed, EgressTimeout, ResponseTooLarge, UrlRefused, show_url
from ergaster_support_egress.guard import Guard, Resolver, resolve
from ergaster_support_egress.settings import EgressSettings
from ergaster_support_egress.urls import Target, parse_url

__all__ = [
    "Egress",
    "EgressError",
    "EgressFailed",
    "EgressSettings",
    "EgressTimeout",
    "Guard",
    "Page",
    "PageStream",
    "ResponseTooLarge",
    "Resolver",
    "Target",
    "UrlRefused",
    "parse_url",
    "resolve",
    "show_url",
]
