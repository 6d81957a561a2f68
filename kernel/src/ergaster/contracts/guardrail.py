"""The contract of a guardrail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, TypeAlias

from attrs import frozen

from ergaster.contracts.context import RunContext

__all__ = ["Allow", "Block", "GuardStage", "Guardrail", "Rewrite", "Verdict"]

GuardStage: TypeAlias = Literal["input", "output", "tool_arguments", "tool_result"]


@frozen
class Allow:
    """Let the content pass."""


@frozen
class Rewrite:
    """Go on with this content instead."""

    content: str
    reason: str = ""


@frozen
class Block:
    """Stop here; the reason is shown."""

    reason: str


Verdict: TypeAlias = Allow | Rewrite | Block


class Guardrail(ABC):
    """Looks at content where it crosses a boundary."""

    stages: frozenset[GuardStage] = frozenset({"input", "output"})

    @abstractmethod
    async def check(self, stage: GuardStage, content: str, context: RunContext) -> Verdict:
        """Judge *content*; an error counts as a block."""
