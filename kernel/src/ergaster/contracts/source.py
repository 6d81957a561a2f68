"""The contract of a source: where documents come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from attrs import field, frozen

from ergaster.messages import JsonObject

__all__ = ["Content", "Source"]


@frozen
class Content:
    """A document as bytes.

    Attributes:
        uri: Its address; the same document has the same one at every visit.
        data: Its bytes.
        media_type: Its IANA media type.
        version: A hash, an ETag or a time; equal versions need no second reading.
    """

    uri: str
    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    media_type: str = "application/octet-stream"
    version: str = ""
    metadata: JsonObject = field(factory=dict)


class Source(ABC):
    """Yields documents; one that fails raises in its own turn and the rest follow."""

    @abstractmethod
    def contents(self) -> AsyncIterator[Content | Exception]:
        """Yield every document once, or the error that it met."""
