"""DeepSeek models for Ergaster."""

from ergaster.contracts.model import Capabilities
from ergaster_support_openai_wire import CompatibleProvider, Quirks

__all__ = ["deepseek"]

deepseek = CompatibleProvider(
    "deepseek",
    base_url="https://api.deepseek.com",
    env_key="DEEPSEEK_API_KEY",
    # https://api-docs.deepseek.com: thinking comes as reasoning_content and goes back behind tool calls, else not;
    # of structured output there is the JSON mode.
    quirks=Quirks(
        reasoning_field=("reasoning_content",),
        replay_reasoning="tool_calls",
        schema_output="json_object",
        parallel_tool_calls=False,
        seed=False,
    ),
    capabilities=Capabilities(reasoning=True, caching=True),
    example="deepseek-chat",
    summary="DeepSeek's models",
)
