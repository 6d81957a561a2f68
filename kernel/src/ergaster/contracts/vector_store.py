"""The contract of a vector store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from attrs import field, frozen

from ergaster.contracts.embedder import Vector
from ergaster.filters import Filter
from ergaster.messages import JsonObject

__all__ = ["Hit", "Query", "VectorRecord", "VectorStore"]


@frozen
class VectorRecord:
    """A chunk: its id, its text, its vector, and metadata that filters may name."""

    id: str
    text: str
    vector: Vector | None = None
    metadata: JsonObject = field(factory=dict)


@frozen(kw_only=True)
class Query:
    """What is looked for; `mode` needs a vector, a text, or both."""

    text: str | None = None
    vector: Vector | None = None
    mode: Literal["vector", "keyword", "hybrid"] = "vector"
    where: Filter | None = None
    k: int = 10


@frozen
class Hit:
    """A record that was found; a higher score is nearer, comparable within one search only."""

    record: VectorRecord
    score: float


class VectorStore(ABC):
    """Chunks of one collection, apart for each tenant by address."""

    @abstractmethod
    async def open(self) -> None:
        """Connect and make the collection."""

    @abstractmethod
    async def close(self) -> None:
        """Release everything."""

    @abstractmethod
    async def upsert(self, tenant: str, records: Sequence[VectorRecord]) -> None:
        """Write records, replacing those of equal id.

        Raises:
            InvalidInput: If a vector has another length than the collection's, or holds NaN or infinity.
        """

    @abstractmethod
    async def delete(self, tenant: str, *, ids: Sequence[str] = (), where: Filter | None = None) -> int:
        """Remove records by id or filter and return how many; with neither, nothing."""

    @abstractmethod
    async def search(self, tenant: str, query: Query) -> Sequence[Hit]:
        """Return the nearest records that pass the filter, best first, ties by id; the filter acts before the top k.

        Raises:
            Unsupported: If the engine cannot do the mode or the filter; it is never dropped or widened.
        """

    @abstractmethod
    async def count(self, tenant: str) -> int:
        """Return how many records the tenant has."""

    @abstractmethod
    async def drop(self, tenant: str) -> None:
        """Remove the tenant's records."""
