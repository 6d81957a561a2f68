"""The contract of a media store: large bytes beside the rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta

__all__ = ["MediaStore"]


class MediaStore(ABC):
    """Bytes by content hash, apart for each tenant."""

    @abstractmethod
    async def put(self, tenant: str, data: bytes, *, media_type: str) -> str:
        """Keep *data* and return its reference; equal bytes of one tenant have one reference."""

    @abstractmethod
    async def get(self, tenant: str, ref: str) -> bytes | None:
        """Return the bytes, or None."""

    @abstractmethod
    async def delete(self, tenant: str, ref: str) -> bool:
        """Remove the bytes and say whether they were there."""

    @abstractmethod
    async def signed_url(self, tenant: str, ref: str, *, valid_for: timedelta) -> str:
        """Return an address from which anybody may read the bytes for that long.

        Raises:
            Unsupported: If the store cannot sign.
        """
