"""Ollama models for Ergaster."""

from ergaster.contracts.model import Capabilities
from ergaster_support_openai_wire import CompatibleProvider, Quirks

__all__ = ["ollama"]

ollama = CompatibleProvider(
    "ollama",
    base_url="http://127.0.0.1:11434/v1",
    env_key="OLLAMA_API_KEY",
    # https://docs.ollama.com/api/openai-compatibility
    quirks=Quirks(reasoning_field=("reasoning", "reasoning_content"), parallel_tool_calls=False),
    capabilities=Capabilities(reasoning=True),
    key_required=False,
    example="qwen3",
    summary="Models on an Ollama server",
)
