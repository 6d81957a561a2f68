"""In-memory storage for Ergaster: for tests, notebooks and throw-away sessions."""

from ergaster_memory.storage import MemoryStorage

__all__ = ["MemoryStorage"]
