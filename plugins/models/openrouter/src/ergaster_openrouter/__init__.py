"""OpenRouter models for Ergaster."""

from ergaster.contracts.model import Capabilities
from ergaster_support_openai_wire import CompatibleProvider, Quirks

__all__ = ["openrouter"]

openrouter = CompatibleProvider(
    "openrouter",
    base_url="https://openrouter.ai/api/v1",
    env_key="OPENROUTER_API_KEY",
    # https://openrouter.ai/docs/guides/best-practices/reasoning-tokens: reasoning that led to tool calls goes back.
    quirks=Quirks(
        reasoning_field=("reasoning", "reasoning_content"),
        replay_reasoning="tool_calls",
        reasoning_details=True,
        reasoning_effort="object",
    ),
    capabilities=Capabilities(images=True, files=True, reasoning=True, caching=True),
    example="openai/gpt-5-mini",
    summary="Hundreds of models through OpenRouter",
)
