"""A cache of model replies: the same request of the same user is answered once for a while."""

from ergaster_cache.feature import Cache

__all__ = ["Cache"]
