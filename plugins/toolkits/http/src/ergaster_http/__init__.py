"""Web pages and HTTP requests for Ergaster agents, behind one guard."""

from ergaster_http.toolkit import Http

__all__ = ["Http"]
