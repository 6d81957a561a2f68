"""The contract of an embedder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, TypeAlias

__all__ = ["Embedder", "Vector"]

Vector: TypeAlias = Sequence[float]


class Embedder(ABC):
    """Texts in, vectors out; batches, limits of the provider and their order are the plugin's business."""

    name: str
    dimensions: int
    """Length of every vector."""

    @abstractmethod
    async def embed(
        self, texts: Sequence[str], *, purpose: Literal["query", "document"] = "document"
    ) -> Sequence[Vector | Exception]:
        """Return one vector for each text, in order; a text that fails has its error in that place.

        No texts give no vectors. An empty text is an error in its place.
        """

    async def close(self) -> None:
        """Release connections or the model."""
