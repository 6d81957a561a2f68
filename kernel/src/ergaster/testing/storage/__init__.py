"""The kit that every storage has to pass."""

from ergaster.testing.storage.kit import StorageContract

__all__ = ["StorageContract"]
