"""The contract of a chunker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from attrs import frozen

from ergaster.contracts.reader import Document

__all__ = ["Chunk", "Chunker"]


@frozen
class Chunk:
    """A piece of a document: characters `start` to `end` of its text."""

    text: str
    document: Document
    start: int
    end: int


class Chunker(ABC):
    """Cuts documents into pieces that an embedder can take."""

    @abstractmethod
    async def chunk(self, document: Document) -> Sequence[Chunk]:
        """Return the pieces in order; every character that is no white space is in at least one."""
