"""Together AI models for Ergaster."""

from ergaster.contracts.model import Capabilities
from ergaster_support_openai_wire import CompatibleProvider, Quirks

__all__ = ["together"]

together = CompatibleProvider(
    "together",
    base_url="https://api.together.ai/v1",
    env_key="TOGETHER_API_KEY",
    # https://docs.together.ai/docs/inference
    quirks=Quirks(reasoning_field=("reasoning", "reasoning_content")),
    capabilities=Capabilities(reasoning=True),
    example="openai/gpt-oss-20b",
    summary="Open models on Together AI",
)
