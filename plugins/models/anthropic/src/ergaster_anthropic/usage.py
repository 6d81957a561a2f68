"""Token counts and prices of Messages."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import evolve, frozen

from ergaster.errors import InvalidOption
from ergaster.messages import Json, Usage

__all__ = ["Prices", "prices_from", "usage_from"]

_MILLION = Decimal(1_000_000)
_WRITING = Decimal("1.25")
_READING = Decimal("0.1")


@frozen(kw_only=True)
class Prices:
    """Prices of a model, in US dollars per million tokens.

    Attributes:
        input: Input tokens outside the cache.
        output: Output tokens, thinking included.
        cached: Input tokens from the cache.
        cache_write: Input tokens written to the cache.
    """

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_write: Decimal

    def cost(self, usage: Usage) -> Decimal:
        """Return what *usage* costs."""
        fresh = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
        read = usage.cached_tokens * self.cached + usage.cache_write_tokens * self.cache_write + fresh * self.input
        return (read + usage.output_tokens * self.output) / _MILLION


def prices_from(prices: Mapping[str, float] | None, provider: str) -> Prices | None:
    """Return the prices of the options; without a price of its own, reading the cache costs a tenth, writing it five quarters.

    Raises:
        InvalidOption: If it has other entries than `input`, `output`, `cached` and `cache_write`, or lacks the first two.
    """
    if prices is None:
        return None
    if not {"input", "output"} <= set(prices) <= {"input", "output", "cached", "cache_write"}:
        raise InvalidOption("prices takes input, output and, if known, cached and cache_write", kind="model", name=provider)
    exact = {name: Decimal(str(value)) for name, value in prices.items()}
    return Prices(
        input=exact["input"],
        output=exact["output"],
        cached=exact.get("cached", exact["input"] * _READING),
        cache_write=exact.get("cache_write", exact["input"] * _WRITING),
    )


def usage_from(value: Json, prices: Prices | None = None) -> Usage:
    """Return the usage of a reply; the API counts the input without what came from the cache or went into it."""
    if not isinstance(value, Mapping):
        return Usage()
    cached, written = _count(value.get("cache_read_input_tokens")), _count(value.get("cache_creation_input_tokens"))
    details = value.get("output_tokens_details")
    usage = Usage(
        _count(value.get("input_tokens")) + cached + written,
        _count(value.get("output_tokens")),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=_count(details.get("thinking_tokens")) if isinstance(details, Mapping) else 0,
    )
    return usage if prices is None else evolve(usage, cost=prices.cost(usage))


def _count(value: Json) -> int:
    return max(int(value), 0) if isinstance(value, int | float) and value == value else 0  # noqa: PLR0124 - NaN differs from itself
