"""The guardrails of an agent, asked one after another."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import cast

from attrs import frozen

from ergaster.contracts.context import RunContext
from ergaster.contracts.guardrail import Allow, Block, Guardrail, GuardStage, Rewrite, Verdict
from ergaster.errors import ContentBlocked, RunError

__all__ = ["Panel", "assemble"]

_log = logging.getLogger(__name__)


@frozen
class Panel:
    """Guardrails by name, in order: each sees what the one before it left.

    Attributes:
        guards: The names and the guardrails.
        stages: Where at least one of them stands.
    """

    guards: tuple[tuple[str, Guardrail], ...]
    stages: frozenset[GuardStage]

    async def check(self, stage: GuardStage, content: str, context: RunContext) -> str:
        """Return the content as it may pass.

        Raises:
            ContentBlocked: If a guardrail blocks it, or fails.
        """
        if stage not in self.stages or not content:
            return content
        for name, guard in self.guards:
            if stage not in guard.stages:
                continue
            verdict = await _judge(name, guard, stage, content, context)
            if isinstance(verdict, Block):
                what = stage.replace("_", " ")
                raise ContentBlocked(
                    f"the guardrail {name!r} blocked the {what}: {verdict.reason}",
                    guardrail=name,
                    stage=stage,
                    reason=verdict.reason,
                )
            if isinstance(verdict, Rewrite):
                content = verdict.content
        return content


def assemble(given: Sequence[object], context: RunContext) -> Panel:
    """Make the panel from names, tables with `use`, and objects."""
    guards = tuple(_resolve(each, context) for each in given)
    return Panel(guards, frozenset[GuardStage]().union(*(guard.stages for _, guard in guards)))


def _resolve(given: object, context: RunContext) -> tuple[str, Guardrail]:
    if isinstance(given, Guardrail):
        return str(getattr(given, "name", "") or type(given).__name__), given
    if isinstance(given, Mapping):
        options = {key: value for key, value in given.items() if key != "use"}
        return given["use"], cast(Guardrail, context.resolve("guardrail", given["use"], options))
    return str(given), cast(Guardrail, context.resolve("guardrail", str(given)))


async def _judge(name: str, guard: Guardrail, stage: GuardStage, content: str, context: RunContext) -> Verdict:
    try:
        verdict = await guard.check(stage, content, context)
    except RunError:
        raise
    except Exception as error:  # boundary: a guardrail that fails lets nothing pass
        _log.warning("the guardrail %r failed with %s at the %s", name, type(error).__name__, stage)
        return Block(f"it failed with {type(error).__name__}")
    return _checked(verdict)


def _checked(verdict: object) -> Verdict:
    """Take nothing but a verdict from a guardrail, whatever its type hints say."""
    if isinstance(verdict, Allow | Block) or (isinstance(verdict, Rewrite) and type(verdict.content) is str):
        return verdict
    return Block(f"it gave {type(verdict).__name__} for a verdict")
