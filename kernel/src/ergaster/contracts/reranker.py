"""The contract of a reranker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

__all__ = ["Reranker"]


class Reranker(ABC):
    """Scores passages against a query."""

    name: str

    @abstractmethod
    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """Return one score for each passage, in order; higher is nearer, comparable within one call only."""

    async def close(self) -> None:
        """Release connections or the model."""
