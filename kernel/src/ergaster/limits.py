"""Hard limits, shared by a run and everything that it starts."""

from __future__ import annotations

from decimal import Decimal
from time import monotonic
from typing import Literal

from attrs import define, field, frozen

from ergaster.errors import LimitReached
from ergaster.messages import Usage

__all__ = ["Budget", "Limits"]


def _as_decimal(cost: Decimal | float | str | None) -> Decimal | None:
    return None if cost is None else Decimal(str(cost))


@frozen(kw_only=True)
class Limits:
    """Bounds of a run, its tools and its nested runs together; None is no bound.

    Attributes:
        model_calls: Calls to models.
        tool_calls: Calls to tools; of a reply that asks for more than are left, those that are left run.
        tokens: Input and output tokens, checked before each model call.
        cost: US dollars, likewise; counts only calls whose price is known.
        seconds: Wall time of one process's work on the run; a pause does not count. Reaching it fails the run.
        depth: How deep runs may start runs.
        on_limit: `answer` calls the model once more, without tools, for a final answer; `fail` fails the run.
        parallel_tools: How many tool calls of a run work at once.
        output_retries: How often an answer that does not fit the output schema is sent back.
        model_retries: How often a model call that failed for a passing reason is tried again.
        run_retries: How often a run that failed for a passing reason goes on by itself from its last finished step.
        retry_seconds: How long after its beginning a model call may be tried again; a wait that would end later is not begun.
    """

    model_calls: int | None = 50
    tool_calls: int | None = 200
    tokens: int | None = None
    cost: Decimal | None = field(default=None, converter=_as_decimal)
    seconds: float | None = None
    depth: int = 8
    on_limit: Literal["answer", "fail"] = "answer"
    parallel_tools: int = 16
    output_retries: int = 2
    model_retries: int = 3
    run_retries: int = 0
    retry_seconds: float = 120.0


@define
class Budget:
    """What a run and its descendants have spent; a child spends from every ancestor's budget as well."""

    limits: Limits
    run_id: str
    parent: Budget | None = None
    model_calls: int = 0
    tool_calls: int = 0
    usage: Usage = field(factory=Usage)
    started: float = field(factory=monotonic)
    refused_tool_call: bool = False

    def exhausted(self) -> LimitReached | None:
        """Return the limit that forbids another model call, or None."""
        limits, usage = self.limits, self.usage
        for name, spent, bound in (
            ("model_calls", self.model_calls, limits.model_calls),
            ("tokens", usage.total_tokens, limits.tokens),
            ("cost", usage.cost or 0, limits.cost),
        ):
            if bound is not None and spent >= bound:
                return self._reached(name, spent, bound)
        if self.refused_tool_call:
            return self._reached("tool_calls", self.tool_calls, self.limits.tool_calls)
        if (late := self.late()) is not None:
            return late
        return self.parent.exhausted() if self.parent else None

    def late(self) -> LimitReached | None:
        """Return the limit on wall time if it has passed."""
        seconds = self.limits.seconds
        if seconds is not None and monotonic() - self.started >= seconds:
            return self._reached("seconds", seconds, seconds)
        return None

    def tool_calls_left(self) -> int | None:
        """Return how many tool calls may still run, None for any number."""
        own = None if self.limits.tool_calls is None else max(0, self.limits.tool_calls - self.tool_calls)
        outer = self.parent.tool_calls_left() if self.parent else None
        return own if outer is None else outer if own is None else min(own, outer)

    def spend(self, *, model_calls: int = 0, tool_calls: int = 0, usage: Usage | None = None) -> None:
        """Count what was spent, here and in every ancestor."""
        self.model_calls += model_calls
        self.tool_calls += tool_calls
        if usage is not None:
            self.usage = self.usage + usage
        if self.parent is not None:
            self.parent.spend(model_calls=model_calls, tool_calls=tool_calls, usage=usage)

    def _reached(self, name: str, spent: object, bound: object) -> LimitReached:
        return LimitReached(
            f"run {self.run_id} reached its limit of {bound} {name.replace('_', ' ')} ({spent} spent); "
            f"raise it with limits=Limits({name}=…)",
            run_id=self.run_id,
            limit=name,
        )
