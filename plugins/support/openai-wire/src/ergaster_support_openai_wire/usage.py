"""Token counts and prices of the OpenAI protocols."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from attrs import frozen

from ergaster.messages import Json, Usage

__all__ = ["Price", "usage_from"]

_MILLION = Decimal(1_000_000)


@frozen(kw_only=True)
class Price:
    """Prices of a model, in US dollars per million tokens.

    Attributes:
        input: Input tokens that are not cached.
        output: Output tokens, reasoning included.
        cached: Input tokens from the cache; None is the price of `input`.
    """

    input: Decimal
    output: Decimal
    cached: Decimal | None = None

    def cost(self, usage: Usage) -> Decimal:
        """Return what *usage* costs."""
        cached = self.input if self.cached is None else self.cached
        fresh = usage.input_tokens - usage.cached_tokens
        return (fresh * self.input + usage.cached_tokens * cached + usage.output_tokens * self.output) / _MILLION


def usage_from(value: Json, price: Price | None = None) -> Usage:
    """Return the usage of a reply, under the names of Chat Completions or of Responses; zeros for what is missing."""
    if not isinstance(value, Mapping):
        return _NOTHING
    get = value.get
    inputs = get("prompt_tokens_details") or get("input_tokens_details") or {}
    outputs = get("completion_tokens_details") or get("output_tokens_details") or {}
    usage = Usage(
        _count(get("prompt_tokens") or get("input_tokens")),
        _count(get("completion_tokens") or get("output_tokens")),
        cached_tokens=_count(inputs.get("cached_tokens") or get("prompt_cache_hit_tokens")),
        cache_write_tokens=_count(inputs.get("cache_write_tokens")),
        reasoning_tokens=_count(outputs.get("reasoning_tokens")),
        input_audio_tokens=_count(inputs.get("audio_tokens")),
        output_audio_tokens=_count(outputs.get("audio_tokens")),
        cost=_money(get("cost")),
    )
    if usage.cost is None and price is not None:
        return _with_cost(usage, price.cost(usage))
    return usage


_NOTHING = Usage()


def _count(value: Json) -> int:
    """Return a count; servers send integers, floats, None, and once in a while text."""
    if type(value) is int:
        return value if value > 0 else 0
    try:
        return max(int(float(value)), 0) if value else 0
    except (TypeError, ValueError, OverflowError):
        return 0


def _money(value: Json) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        money = Decimal(str(value))
    except InvalidOperation:
        return None
    return money if money.is_finite() else None


def _with_cost(usage: Usage, cost: Decimal) -> Usage:
    return usage + Usage(cost=cost)
