"""Values that are kept for a time, and no more of them than fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Shelf"]

T = TypeVar("T")


class Shelf(Generic[T]):
    """Keeps values by key; times are seconds of a monotonic clock, handed in.

    Args:
        ttl: Seconds for which a value is kept.
        size: Most values; the one that was used the longest ago makes room.
    """

    def __init__(self, ttl: float, size: int) -> None:
        self._ttl = ttl
        self._size = size
        self._values: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    def get(self, key: Hashable, now: float) -> T | None:
        """Return a value that is not too old."""
        found = self._values.get(key)
        if found is None:
            return None
        if now >= found[0]:
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return found[1]

    def put(self, key: Hashable, value: T, now: float) -> None:
        """Keep a value from now on."""
        self._values[key] = (now + self._ttl, value)
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)

    def __len__(self) -> int:
        return len(self._values)
