"""The contract of a reader: bytes in, text out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from attrs import field, frozen

from ergaster.contracts.source import Content
from ergaster.messages import JsonObject

__all__ = ["Document", "Reader"]


@frozen
class Document:
    """Text with its place: `page` counts from 1."""

    text: str
    uri: str
    page: int | None = None
    metadata: JsonObject = field(factory=dict)


class Reader(ABC):
    """Turns a document of certain media types into text."""

    media_types: tuple[str, ...] = ()

    @abstractmethod
    async def read(self, content: Content) -> Sequence[Document]:
        """Return the text, a document for each page where there are pages.

        Raises:
            InvalidInput: If the bytes are not what their media type says, or exceed the reader's limits.
        """
