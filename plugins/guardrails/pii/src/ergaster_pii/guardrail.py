"""The guardrail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from attrs import define, field

from ergaster.contracts.context import RunContext
from ergaster.contracts.guardrail import Allow, Block, Guardrail, GuardStage, Rewrite, Verdict
from ergaster_pii.finders import Kind, Span, find

__all__ = ["PersonalData"]


@define(eq=False)
class PersonalData(Guardrail):
    """Masks personal data, or blocks what holds any.

    Attributes:
        kinds: What to look for; `us_ssn`, `uk_nino` and `es_dni` only when named.
        action: `mask` puts `[EMAIL]` and the like in its place; `block` lets nothing pass that holds any.
        stages: Where it stands. Not at the arguments of tools by default: a mail tool needs the address.
    """

    kinds: Sequence[Kind] = field(default=("email", "iban", "card", "ip", "phone"), kw_only=True)
    action: Literal["mask", "block"] = field(default="mask", kw_only=True)
    stages: frozenset[GuardStage] = field(
        default=frozenset[GuardStage]({"input", "output", "tool_result"}), kw_only=True, converter=frozenset
    )
    name: str = field(default="pii", init=False)

    async def check(self, stage: GuardStage, content: str, context: RunContext) -> Verdict:
        """Return the content masked, or a block that names the kinds and shows no data."""
        spans = find(content, self.kinds)
        if not spans:
            return Allow()
        kinds = ", ".join(sorted({span.kind.replace("_", " ") for span in spans}))
        if self.action == "block":
            return Block(f"it holds personal data: {kinds}")
        return Rewrite(_masked(content, spans), f"masked: {kinds}")


def _masked(content: str, spans: Sequence[Span]) -> str:
    pieces, end = [], 0
    for span in spans:
        pieces += [content[end : span.start], f"[{span.kind.upper()}]"]
        end = span.end
    return "".join([*pieces, content[end:]])
